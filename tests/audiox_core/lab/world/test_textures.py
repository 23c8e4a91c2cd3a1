"""Sounds without events: their loudness follows the level of the picture."""

import numpy as np
import pytest
from numpy.random import default_rng

from audiox_core.lab.world.textures import TEXTURE_SOUNDS, engine

RATE = 22_050
HALF = RATE // 2


def rms(sound):
    return np.sqrt(np.square(sound).mean())


@pytest.mark.parametrize("label", TEXTURE_SOUNDS)
def test_a_higher_level_is_louder(label):
    level = np.repeat(np.array([0.2, 1.0], np.float32), HALF)
    sound = TEXTURE_SOUNDS[label](default_rng(1), RATE, 1.0, level)
    assert sound.shape == level.shape
    assert rms(sound[HALF:]) > 2 * rms(sound[:HALF]) > 0


@pytest.mark.parametrize("label", ["rain", "wind"])
def test_rain_and_wind_are_silent_at_level_0(label):
    sound = TEXTURE_SOUNDS[label](default_rng(1), RATE, 1.0, np.zeros(HALF, np.float32))
    assert not sound.any()


def test_an_engine_idles_at_level_0_and_turns_faster_with_the_level():
    def strongest_hertz(level):
        sound = engine(default_rng(1), RATE, 1.0, np.full(RATE, level, np.float32))
        return np.abs(np.fft.rfft(sound))[1:].argmax() + 1  # bins of 1 Hz

    assert strongest_hertz(0.0) == pytest.approx(45, abs=1)
    assert strongest_hertz(1.0) == pytest.approx(155, abs=1)
