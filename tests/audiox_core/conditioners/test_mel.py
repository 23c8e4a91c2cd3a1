"""Mel filters: triangles on the HTK scale, as both libraries make them."""

import pytest
import torch

from audiox_core.conditioners.mel import mel_filters
from audiox_core.config import MelConfig

SIZES = MelConfig(sample_rate=8_000, fft=64, hop=16, filters=3)


def test_filters_are_triangles_with_corners_at_equal_steps_of_mel():
    # 4000 Hz are 2146.07 mel; a quarter, half and three quarters of it are 427, 1114 and 2220 Hz
    corners = [0, 426.8, 1_113.8, 2_219.6, 4_000]
    filters = mel_filters(SIZES)
    assert filters.shape == (33, 3)
    for index, (left, peak, right) in enumerate(
        zip(corners, corners[1:], corners[2:], strict=False)
    ):
        for bin_number in range(33):
            hz = bin_number * 125
            expected = max(0, min((hz - left) / (peak - left), (right - hz) / (right - peak)))
            assert filters[bin_number, index].item() == pytest.approx(expected, abs=1e-3)


@pytest.mark.filterwarnings("ignore:At least one mel filter")  # the released sizes are like that
def test_filters_are_those_of_torchaudio():
    torchaudio = pytest.importorskip("torchaudio", exc_type=(ImportError, OSError, RuntimeError))
    for mel in (SIZES, MelConfig()):
        bins, nyquist = mel.fft // 2 + 1, mel.sample_rate / 2
        theirs = torchaudio.functional.melscale_fbanks(
            bins, 0.0, nyquist, mel.filters, mel.sample_rate
        )
        torch.testing.assert_close(mel_filters(mel), theirs, atol=1e-6, rtol=0)


def test_filters_are_those_of_transformers():
    audio_utils = pytest.importorskip("transformers.audio_utils")
    theirs = audio_utils.mel_filter_bank(
        num_frequency_bins=33, num_mel_filters=3, min_frequency=0.0, max_frequency=4_000.0,
        sampling_rate=8_000, mel_scale="htk",
    )  # fmt: skip
    torch.testing.assert_close(
        mel_filters(SIZES).double(), torch.from_numpy(theirs), atol=1e-5, rtol=0
    )
