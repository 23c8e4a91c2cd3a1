"""Every class gives a sound that is heard, of a sensible length, and never the same twice."""

import numpy as np
import pytest
from numpy.random import default_rng

from audiox_core.lab.effects.labels import EVENT_LABELS, TEXTURE_LABELS
from audiox_core.lab.effects.sounds import event_sound, fire, texture_sound

RATE = 22_050
MACHINES = "siren", "engine"  # as regular as they are
pytestmark = pytest.mark.usefixtures("effects")


@pytest.mark.parametrize("label", EVENT_LABELS)
def test_an_event_is_heard_and_ends(label):
    sound = event_sound(label)(default_rng(1), RATE, 1.0)
    assert 0.05 < sound.size / RATE < 3.6
    assert 0.3 < np.abs(sound).max() <= 1.6
    assert np.abs(sound[-20:]).max() < 0.2 * np.abs(sound).max()


@pytest.mark.parametrize("label", TEXTURE_LABELS)
def test_a_texture_follows_its_level(label):
    level = np.zeros(4 * RATE, np.float32)
    level[: 2 * RATE] = 1
    sound = texture_sound(label)(default_rng(1), RATE, 1.0, level)
    power = np.square(sound).reshape(8, -1).mean(axis=1)
    assert power[:4].min() > 0
    assert power[5:].max() < 1e-6 * power[:4].max()


@pytest.mark.parametrize("label", [name for name in TEXTURE_LABELS if name not in MACHINES])
def test_a_texture_is_no_loop(label):
    level = np.ones(6 * RATE, np.float32)
    sound = texture_sound(label)(default_rng(2), RATE, 1.0, level)
    spectrum = np.fft.rfft(sound - sound.mean(), 2 * sound.size)
    alike = np.fft.irfft(np.square(np.abs(spectrum)))[: sound.size // 2]
    assert np.abs(alike[RATE // 4 :]).max() / alike[0] < 0.8


def test_pitch_raises_a_recording():
    def centre(pitch):
        sound = event_sound("dog")(default_rng(1), RATE, pitch)
        power = np.square(np.abs(np.fft.rfft(sound)))
        return (power * np.fft.rfftfreq(sound.size, 1 / RATE)).sum() / power.sum()

    assert centre(1.3) > 1.15 * centre(0.9)


def test_a_fire_crackles():
    sound = fire(default_rng(1), RATE, 1.0, np.ones(2 * RATE, np.float32))
    assert np.abs(sound).max() > 4 * np.sqrt(np.square(sound).mean())
