"""Ducking: which level counts as loud, and how fast the gain follows."""

from math import exp, log10

import pytest
import torch

from audiox_core.errors import SettingsError
from audiox_core.media.ducking import Ducking, presence

RATE = 1_100  # Hz: blocks of 11 samples, whose middles are samples
ATTACK, RELEASE = (1 - exp(-0.01 / seconds) for seconds in (0.05, 0.4))


def constant(level: float, blocks: int, channels: int = 2) -> torch.Tensor:
    return torch.full((channels, 11 * blocks), level)


def test_presence_rises_by_the_attack_and_falls_by_the_release():
    sound = torch.cat([constant(0.5, 20), constant(0.0, 30)], dim=1)
    middles = presence(sound, RATE)[5::11]
    for block in range(20):
        assert middles[block].item() == pytest.approx(1 - (1 - ATTACK) ** (block + 1), abs=1e-5)
    for block in range(30):
        expected = middles[19].item() * (1 - RELEASE) ** (block + 1)
        assert middles[20 + block].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("level_db", "target"), [(-30, 1), (-20, 1), (-35, 0.75), (-45, 0.25), (-50, 0), (-80, 0)]
)
def test_presence_goes_from_nothing_at_50_to_all_at_30_decibels_below_full_scale(level_db, target):
    there = presence(constant(10 ** (level_db / 20), 100), RATE)
    assert there[-6].item() == pytest.approx(target, abs=1e-3)


def test_the_level_is_that_of_the_mean_power_of_the_channels():
    loud = torch.cat([constant(10 ** (-35 / 20), 100, 1), constant(0.0, 100, 1)])
    expected = (-35 - 10 * log10(2) + 50) / 20
    assert presence(loud, RATE)[-6].item() == pytest.approx(expected, abs=1e-3)


def test_a_length_that_is_no_multiple_of_a_block_is_kept():
    assert presence(torch.ones(2, 25), RATE).shape == (25,)
    assert presence(torch.ones(2, 3), 44_100).shape == (3,)


@pytest.mark.parametrize(("attack", "release"), [(0.02, 1.0), (0.5, 0.1)])
def test_attack_and_release_are_the_times_of_63_percent(attack, release):
    sound = torch.cat([constant(0.5, 200), constant(0.0, 300)], dim=1)
    gain = Ducking(12.0, attack, release).gain_db(sound, RATE)[5::11]
    down = -12 * (1 - exp(-1))
    assert gain[round(attack / 0.01) - 1].item() == pytest.approx(down, abs=1e-4)
    lowest = gain[199].item()
    assert lowest == pytest.approx(-12 * (1 - exp(-2 / attack)), abs=1e-4)
    assert gain[199 + round(release / 0.01)].item() == pytest.approx(lowest * exp(-1), abs=1e-4)


def test_without_attack_and_release_the_gain_follows_at_once():
    sound = torch.cat([constant(0.5, 10), constant(0.0, 10)], dim=1)
    gain = Ducking(6.0, 0.0, 0.0).gain_db(sound, RATE)[5::11]
    assert gain.tolist() == [-6.0] * 10 + [0.0] * 10


@pytest.mark.parametrize(
    "settings", [(float("nan"),), (6.0, -1.0), (6.0, 0.1, float("inf")), (200.0,)]
)
def test_values_out_of_range_are_refused(settings):
    with pytest.raises(SettingsError, match=r"(duck|attack|release) is"):
        Ducking(*settings).check()
