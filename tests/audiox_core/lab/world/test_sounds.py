"""The sounds of single events."""

import numpy as np
import pytest
from numpy.random import default_rng

from audiox_core.lab.world.sounds import EVENT_SOUNDS, band, band_pass, seconds_axis

RATE = 22_050


@pytest.mark.parametrize("label", EVENT_SOUNDS)
def test_a_sound_is_short_at_full_scale_and_ends_in_silence(label):
    sound = EVENT_SOUNDS[label](default_rng(3), RATE, 1.0)
    assert sound.size <= 0.6 * RATE
    assert np.abs(sound).max() == pytest.approx(1.0)
    assert sound[-1] == 0


@pytest.mark.parametrize("label", EVENT_SOUNDS)
def test_a_higher_pitch_raises_the_centre_of_the_spectrum(label):
    def centre(pitch):
        power = np.abs(np.fft.rfft(EVENT_SOUNDS[label](default_rng(3), RATE, pitch))) ** 2
        return (power * np.arange(power.size)).sum() / power.sum()

    assert centre(1.3) > centre(0.8)


def test_a_band_pass_is_1_inside_and_falls_an_octave_on_each_side():
    curve = band_pass(8_000, 200.0, 800.0, 8_000)  # one bin is 1 Hz
    assert curve[[200, 400, 800]] == pytest.approx([1, 1, 1], abs=1e-6)
    assert curve[[100, 1_600]] == pytest.approx([0, 0], abs=1e-6)
    assert curve[round(200 / 2**0.5)] == pytest.approx(0.5, abs=0.01)


def test_noise_of_a_band_has_its_energy_there():
    noise = band(default_rng(0), 8_000, 500.0, 1_000.0, 8_000)
    power = np.abs(np.fft.rfft(noise)) ** 2
    assert power[250:2_000].sum() / power.sum() > 0.999
    assert np.abs(noise).max() == pytest.approx(1.0)


def test_times_are_sample_numbers_over_the_rate():
    assert seconds_axis(0.5, 8).tolist() == [0, 0.125, 0.25, 0.375]
