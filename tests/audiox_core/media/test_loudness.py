"""Loudness: what EBU R 128 says of a tone, and gains that follow from it."""

from math import inf

import pytest
import torch

from audiox_core.media.loudness import measure_loudness, normalize_loudness

RATE = 48_000


def tone(level_db: float, seconds: float = 1.0, channels: int = 2) -> torch.Tensor:
    """997 Hz, where the meter's filter has its 0 dB (EBU Tech 3341)."""
    time = torch.arange(round(RATE * seconds), dtype=torch.float64) / RATE
    wave = 10 ** (level_db / 20) * torch.sin(2 * torch.pi * 997 * time)
    return wave.float().expand(channels, -1)


def test_a_stereo_tone_has_its_level_in_lufs():
    measured = measure_loudness(tone(-23.0), RATE)
    assert measured.lufs == pytest.approx(-23.0, abs=0.1)
    assert measured.peak_db == pytest.approx(-23.0, abs=0.1)


def test_one_channel_of_two_is_three_decibels_less():
    left = tone(-20.0) * torch.tensor([[1.0], [0.0]])
    assert measure_loudness(left, RATE).lufs == pytest.approx(-23.0, abs=0.1)


def test_silence_has_no_loudness_and_stays_silent():
    silence = torch.zeros(2, RATE)
    assert measure_loudness(silence, RATE) == (-inf, -inf)
    assert torch.equal(normalize_loudness(silence, RATE), silence)


def test_a_sound_is_brought_to_the_loudness_that_was_asked_for():
    made = normalize_loudness(tone(-30.0), RATE, lufs=-20.0)
    torch.testing.assert_close(made, tone(-20.0), atol=2e-3, rtol=0)


def test_the_peak_limits_the_gain():
    made = normalize_loudness(tone(-30.0), RATE, lufs=-3.0, peak_db=-6.0)
    assert made.abs().max().item() == pytest.approx(10 ** (-6 / 20), abs=0.01)
