"""Band levels over time, held to tones."""

import math

import pytest
import torch

from audiox_core.analysis.spectra import BANDS, FLOOR_DB, band_levels, spectrogram

RATE = 16_000


def tone(hertz, seconds=0.5):
    return torch.sin(2 * math.pi * hertz * torch.arange(round(seconds * RATE)) / RATE)[None]


def test_there_is_a_column_every_10_milliseconds():
    assert band_levels(tone(440), RATE).shape == (BANDS, 51)


def test_the_loudest_band_is_0_decibels_and_the_softest_the_floor():
    levels = band_levels(tone(1_000), RATE)
    assert levels.max() == 0
    assert levels.min() == FLOOR_DB


def test_levels_do_not_depend_on_the_gain():
    loud, soft = band_levels(tone(1_000), RATE), band_levels(0.1 * tone(1_000), RATE)
    torch.testing.assert_close(soft, loud, atol=0.01, rtol=0)


def test_a_higher_tone_is_loudest_in_a_higher_band():
    low, high = (band_levels(tone(f), RATE).mean(dim=1).argmax().item() for f in (300, 3_000))
    assert low < high


def test_a_tone_peaks_at_its_bin_with_half_the_sum_of_the_window():
    column = spectrogram(tone(1_000), RATE, 1_024)[0, :, 25]
    assert column.argmax().item() == 64  # 1000 Hz / (16000 Hz / 1024)
    assert column.max().item() == pytest.approx(1_024 / 4, rel=1e-3)
