"""Mastering: the loudness that was asked for, below the ceiling, on hits, noise and tones."""

from math import inf

import pytest
import torch

from audiox_core.errors import SettingsError
from audiox_core.media.limiter import true_peak
from audiox_core.media.loudness import measure_loudness
from audiox_core.media.mastering import master

RATE = 44_100


@pytest.fixture
def sounds(seeded) -> dict[str, torch.Tensor]:
    noise = 0.1 * torch.randn(2, 4 * RATE, generator=seeded)
    time = torch.arange(RATE // 4) / RATE
    hit = (-20 * time).exp() * (2 * torch.pi * 70 * time).sin()
    hits = torch.zeros(2, 4 * RATE)
    for beat in range(12):
        hits[:, beat * RATE // 3 : beat * RATE // 3 + RATE // 4] = hit
    click = (-3_000 * time).exp() * torch.randn(RATE // 4, generator=seeded)
    return {
        "noise": noise,
        "hits": 0.8 * hits,
        "hits with clicks": 0.5 * hits + torch.nn.functional.pad(click, (RATE, 11 * RATE // 4)),
        "swelling noise": noise * torch.linspace(0, 1, 4 * RATE) ** 3,
        "tone": 0.1 * (2 * torch.pi * 997 * torch.arange(4 * RATE) / RATE).sin().expand(2, -1),
    }


@pytest.mark.parametrize("name", ["noise", "hits", "hits with clicks", "swelling noise", "tone"])
@pytest.mark.parametrize(("lufs", "ceiling"), [(-16.0, -1.0), (-12.0, -3.0), (-30.0, -1.0)])
def test_the_loudness_is_reached_below_the_ceiling(sounds, name, lufs, ceiling):
    made = master(sounds[name], RATE, lufs, ceiling)
    assert made.reached
    assert measure_loudness(made.waveform, RATE) == pytest.approx(made.loudness, abs=1e-3)
    assert made.loudness.lufs == pytest.approx(lufs, abs=0.05)
    assert true_peak(made.waveform) <= ceiling + 1e-3
    assert (made.limited_db == 0) == (true_peak(sounds[name]) + made.gain_db <= ceiling)


def test_without_limiting_the_sound_is_scaled_alone(sounds):
    made = master(sounds["noise"], RATE, -30.0)
    assert made.limited_db == 0
    torch.testing.assert_close(made.waveform, sounds["noise"] * 10 ** (made.gain_db / 20))


def test_without_a_target_the_level_stays(sounds):
    made = master(sounds["noise"], RATE, None)
    assert torch.equal(made.waveform, sounds["noise"])
    assert (made.gain_db, made.limited_db, made.reached) == (0, 0, True)


def test_without_a_target_peaks_above_the_ceiling_are_lowered(sounds):
    made = master(4 * sounds["hits"], RATE, None, -2.0)
    assert made.loudness.peak_db == pytest.approx(-2.0, abs=0.05)
    assert made.gain_db == 0
    assert made.limited_db == pytest.approx(true_peak(4 * sounds["hits"]) + 2, abs=1e-3)


def test_a_loudness_that_needs_more_than_24_decibels_of_limiting_is_not_reached():
    sound = 1e-3 * torch.randn(2, 4 * RATE, generator=torch.Generator().manual_seed(0))
    sound[:, RATE] = 0.5
    made = master(sound, RATE, -10.0)
    assert not made.reached
    assert made.limited_db == pytest.approx(24)
    assert made.loudness.lufs < -11
    assert made.loudness.peak_db <= -1 + 1e-3


def test_the_limiter_treats_every_moment_of_a_loop_alike(sounds):
    sound = sounds["hits with clicks"]  # begins with a hit
    shift = 1_600 * 16
    made, shifted = (master(x, RATE, -12.0, loop=True) for x in (sound, sound.roll(shift, 1)))
    assert made.limited_db > 6
    torch.testing.assert_close(shifted.waveform, made.waveform.roll(shift, 1), atol=0.01, rtol=0)
    ends = [master(x, RATE, -12.0) for x in (sound, sound.roll(shift, 1))]
    assert (ends[1].waveform - ends[0].waveform.roll(shift, 1)).abs().max() > 0.05


@pytest.mark.parametrize(("level", "seconds"), [(0.0, 1.0), (0.5, 0.3), (1e-6, 1.0)])
def test_what_has_no_loudness_keeps_its_level(level, seconds):
    sound = torch.full((2, round(seconds * RATE)), level)
    made = master(sound, RATE, -16.0)
    assert made.loudness.lufs == -inf
    assert torch.equal(made.waveform, sound)
    assert not made.reached


@pytest.mark.parametrize("settings", [(1.0, -1.0), (float("nan"), -1.0), (-16.0, 1.0)])
def test_a_loudness_or_ceiling_out_of_range_is_refused(settings):
    with pytest.raises(SettingsError, match=r"lufs is|ceiling is"):
        master(torch.ones(2, RATE), RATE, *settings)
