"""Loudness: what EBU R 128 says of tones, and its range."""

from math import cos, inf, log10, pi, sin

import pytest
import torch

from audiox_core.media.loudness import integrated_loudness, measure_loudness

RATE = 48_000


def tone(level_db: float, seconds: float = 1.0, channels: int = 2) -> torch.Tensor:
    """997 Hz, where the meter's filter has its 0 dB (EBU Tech 3341)."""
    time = torch.arange(round(RATE * seconds), dtype=torch.float64) / RATE
    wave = 10 ** (level_db / 20) * torch.sin(2 * torch.pi * 997 * time)
    return wave.float().expand(channels, -1)


def k_weighting(frequency: float) -> float:
    """The gain of the two filters of ITU-R BS.1770-4 (tables 1 and 2, 48 kHz), in dB."""
    w = 2 * pi * frequency / RATE
    z = complex(cos(w), -sin(w))
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high_pass = (1 - 2 * z + z**2) / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    return 20 * log10(abs(shelf * high_pass))


def test_a_stereo_tone_has_the_loudness_of_the_standards_formula():
    # two channels of mean square a^2 / 2: -0.691 + K-weighting + 10 log10(a^2)
    expected = -0.691 + k_weighting(997) - 23.0
    measured = measure_loudness(tone(-23.0), RATE)
    assert measured.lufs == pytest.approx(expected, abs=0.02)
    assert measured.lufs == pytest.approx(-23.0, abs=0.05)
    assert measured.peak_db == pytest.approx(-23.0, abs=0.05)
    assert integrated_loudness(tone(-23.0), RATE) == measured.lufs


def test_one_channel_of_two_is_three_decibels_less():
    left = tone(-20.0) * torch.tensor([[1.0], [0.0]])
    assert measure_loudness(left, RATE).lufs == pytest.approx(-23.0, abs=0.1)


def test_the_range_is_that_between_the_soft_and_the_loud_part():
    sound = torch.cat([tone(-30.0, 20.0), tone(-20.0, 20.0)], dim=1)  # EBU Tech 3342, test 1
    assert measure_loudness(sound, RATE).range_lu == pytest.approx(10, abs=1)
    assert measure_loudness(tone(-20.0, 5.0), RATE).range_lu == pytest.approx(0, abs=0.1)


def test_a_sound_far_above_full_scale_is_measured_too(seeded):
    noise = 0.1 * torch.randn(2, 2 * RATE, generator=seeded)
    soft, loud = (measure_loudness(noise * gain, RATE) for gain in (0.1, 100.0))
    assert loud.lufs > 20
    assert loud.lufs - soft.lufs == pytest.approx(60, abs=0.05)


def test_silence_has_no_loudness():
    assert measure_loudness(torch.zeros(2, RATE), RATE) == (-inf, 0, -inf)


def test_less_than_one_block_of_the_standard_has_no_loudness():
    measured = measure_loudness(tone(-20.0, 0.3), RATE)
    assert measured.lufs == -inf
    assert measured.peak_db == pytest.approx(-20, abs=0.1)
