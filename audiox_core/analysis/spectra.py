"""The levels of a sound in bands over time.

Axes: `c` channels, `n` samples, `k` bands, `t` frames.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..conditioners.mel import mel_filters
from ..config import MelConfig

FFT, BANDS = 1_024, 64
HOP_SECONDS = 0.01
FLOOR_DB = -70.0  # below the loudest band: silence


def band_levels(audio: Tensor, sample_rate: int) -> Tensor:
    """Audio `c n` -> decibels below its loudest band, `k t`: a column each 10 ms.

    Column j is centred at j * `HOP_SECONDS`.
    """
    power = spectrogram(audio, sample_rate, FFT).square().sum(dim=0)
    filters = mel_filters(MelConfig(sample_rate, FFT, 0, BANDS)).to(power)
    levels = 10 * (filters.T @ power + 1e-12).log10()
    return (levels - levels.max()).clamp(min=FLOOR_DB)


def spectrogram(audio: Tensor, sample_rate: int, fft: int) -> Tensor:
    """Audio `c n` -> magnitudes `c k t`, a column each `HOP_SECONDS`."""
    hop = round(HOP_SECONDS * sample_rate)
    window = torch.hann_window(fft, device=audio.device)
    audio = pad(audio, (0, max(0, fft // 2 + 1 - audio.shape[-1])))  # it is mirrored at its ends
    return torch.stft(
        audio.float(), fft, hop, window=window, center=True, return_complex=True
    ).abs()
