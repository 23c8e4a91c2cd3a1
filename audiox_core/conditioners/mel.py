"""The mel filters of the audio prompt of AudioX-MAF, by whichever library is there."""

import logging
from functools import cache

import torch
from torch import Tensor

from ..config import MelConfig
from .encoders import load_transformers

logger = logging.getLogger(__name__)


@cache
def mel_filters(mel: MelConfig) -> Tensor:
    """Triangles on the HTK scale from 0 Hz to half the rate, peak 1: `k f` (bins, filters)."""
    try:
        from torchaudio.functional import melscale_fbanks

        return melscale_fbanks(mel.fft // 2 + 1, 0.0, mel.sample_rate / 2, mel.filters,
                               mel.sample_rate)  # fmt: skip
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        logger.info("Mel filters come from transformers: torchaudio does not work (%s)", error)
        return mel_filters_by_transformers(mel)


def mel_filters_by_transformers(mel: MelConfig) -> Tensor:
    """As `mel_filters`, without torchaudio; equal to 1e-6."""
    library = load_transformers()
    return torch.from_numpy(
        library.audio_utils.mel_filter_bank(
            num_frequency_bins=mel.fft // 2 + 1,
            num_mel_filters=mel.filters,
            min_frequency=0.0,
            max_frequency=mel.sample_rate / 2,
            sampling_rate=mel.sample_rate,
            mel_scale="htk",
        )
    ).float()
