"""True peaks between samples, and the gain of the limiter around them."""

from math import ceil, exp, inf, log10, sqrt

import pytest
import torch

from audiox_core.media.limiter import (
    LOOK_AHEAD,
    RECOVERY,
    block_peaks,
    limiter_gain,
    true_peak,
)

RATE = 48_000


def sine(frequency: float, phase: float = 0.0, seconds: float = 0.5) -> torch.Tensor:
    time = torch.arange(round(RATE * seconds), dtype=torch.float64) / RATE
    return torch.sin(2 * torch.pi * frequency * time + phase).float().expand(2, -1)


def test_the_true_peak_of_a_quarter_rate_sine_is_3_decibels_above_its_samples():
    wave = sine(RATE / 4, torch.pi / 4)
    fade = torch.hann_window(wave.shape[-1], periodic=False)  # without the peaks of its edges
    assert wave.abs().max().item() == pytest.approx(sqrt(0.5), abs=1e-3)
    assert true_peak(wave * fade) == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("frequency", [50, 997, 7_000, 15_000])
def test_the_true_peak_of_a_sine_is_its_amplitude(frequency):
    wave = 0.25 * sine(frequency, 1.0) * torch.hann_window(RATE // 2, periodic=False)
    assert -0.01 < true_peak(wave) - 20 * log10(0.25) < 0.1


def test_the_true_peak_of_silence_is_minus_infinity():
    assert true_peak(torch.zeros(2, 100)) == -inf


def test_peaks_are_those_of_blocks_of_16_samples_of_the_loudest_channel():
    sound = torch.zeros(2, 100)
    sound[1, 40] = -0.5
    peaks = block_peaks(sound)
    assert peaks.shape == (7,)
    assert peaks.argmax() == 2
    assert peaks[2].item() == pytest.approx(0.5, abs=1e-6)


def test_the_peaks_of_a_long_sound_do_not_depend_on_the_pieces_it_is_read_in(seeded):
    sound = torch.randn(2, 150_000, generator=seeded)
    later = block_peaks(sound[:, 160 * 16 :])
    torch.testing.assert_close(block_peaks(sound)[162:], later[2:])


def test_the_gain_is_1_below_the_ceiling():
    assert limiter_gain(torch.full((100,), 0.5), RATE, -6.0).eq(1).all()


def test_the_gain_of_a_steady_sound_is_the_ratio_of_ceiling_and_peak():
    gain = limiter_gain(torch.full((100,), 2.0), RATE, -1.0)
    torch.testing.assert_close(gain, torch.full((1_600,), 10 ** (-1 / 20) / 2))


def test_the_gain_falls_before_a_peak_and_recovers_exponentially_after_it():
    peaks = torch.zeros(2_000)
    peaks[1_000] = 4.0  # 12 dB above the ceiling
    gain = 20 * limiter_gain(peaks, RATE, 0.0).log10()
    over, ahead = 20 * log10(4), ceil(LOOK_AHEAD * RATE / 16) * 16
    at = slice(1_000 * 16, 1_001 * 16)
    assert gain[at].max() <= -over + 1e-4
    assert gain[: 16_000 - ahead - 16].eq(0).all()
    half = gain[16_000 - ahead // 2].item()
    assert half == pytest.approx(-over / 2, abs=0.8)  # linear in decibels
    before, after = gain[18_000].item(), gain[18_000 + round(RECOVERY * RATE)].item()
    assert after == pytest.approx(before * exp(-1), rel=0.01)
    assert gain.max() <= 0


def test_the_limited_sound_stays_at_the_ceiling(seeded):
    sound = torch.randn(2, RATE, generator=seeded) * torch.rand(RATE, generator=seeded) ** 8
    gain = limiter_gain(block_peaks(sound), RATE, -3.0)[:RATE]
    assert true_peak(sound) > 3
    assert -3.5 < true_peak(sound * gain) < -2.9
