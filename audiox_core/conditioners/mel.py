"""Mel filters for the audio prompt of AudioX-MAF.

Computed here and not by a library: torchaudio does not load everywhere, and transformers computes
in float64, which differs by 2e-5.
"""

from functools import cache
from math import log10

import torch
from torch import Tensor

from ..config import MelConfig


@cache
def mel_filters(mel: MelConfig) -> Tensor:
    """Triangular filters on the HTK mel scale from 0 Hz to half the rate, each with peak 1.

    HTK: mel = 2595 log10(1 + f / 700). The filters' corners are evenly spaced in mel.

    Args:
        mel: sizes and the sample rate (Hz).

    Returns:
        `k f`: FFT bins and filters, float32, as torchaudio's `melscale_fbanks` gives them.
    """
    nyquist = mel.sample_rate / 2
    top = 2_595 * log10(1 + nyquist / 700)
    mels = torch.linspace(0, top, mel.filters + 2, dtype=torch.float32)
    corners = 700 * (10 ** (mels / 2_595) - 1)  # Hz
    bins = torch.linspace(0, nyquist, mel.fft // 2 + 1, dtype=torch.float32)[:, None]  # Hz
    widths = corners.diff()
    rising = (bins - corners[:-2]) / widths[:-1]
    falling = (corners[2:] - bins) / widths[1:]
    return torch.minimum(rising, falling).clamp(min=0)
