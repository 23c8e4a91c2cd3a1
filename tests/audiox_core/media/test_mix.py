"""Mixing: gains in decibels, lengths, and how the original sound is ducked."""

from math import exp

import pytest
import torch

from audiox_core.errors import SettingsError
from audiox_core.media.mix import mix, place

RATE = 1_100  # Hz: blocks of 11 samples, whose middles are samples
ATTACK = 1 - exp(-0.01 / 0.05)  # of the way, in a block


def constant(level: float, blocks: int, channels: int = 2) -> torch.Tensor:
    return torch.full((channels, 11 * blocks), level)


def test_gains_are_decibels():
    made, original = constant(0.5, 10), constant(0.25, 10)
    out = mix(made, original, RATE, gain_db=-6.0, original_db=12.0)
    assert torch.allclose(out, torch.tensor(0.5 * 10**-0.3 + 0.25 * 10**0.6))
    assert torch.equal(mix(made, None, RATE), made)
    assert torch.allclose(mix(made, None, RATE, gain_db=20.0), torch.tensor(5.0))


def test_the_result_is_stereo_and_as_long_as_the_made_sound():
    made = constant(0.5, 10, channels=1)
    for blocks in (3, 10, 20):
        out = mix(made, constant(0.25, blocks, channels=1), RATE)
        assert out.shape == (2, 110)
        expected = torch.full((2, 110), 0.5)
        expected[:, : 11 * blocks] += 0.25
        assert torch.equal(out, expected)


def test_a_longer_original_is_cut_at_its_end():
    rising = torch.arange(20.0).expand(2, -1)
    assert torch.equal(mix(torch.zeros(2, 8), rising, RATE), rising[:, :8])


def test_three_channels_are_refused():
    with pytest.raises(SettingsError):
        mix(constant(0.5, 2, channels=3), None, RATE)


def test_a_sound_is_placed_between_silence():
    placed = place(torch.ones(2, 3), 10, 0.2, 1.0)
    assert placed[0].tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 0, 0]


def test_a_sound_that_is_too_long_is_cut_at_the_end():
    assert place(torch.arange(20.0)[None], 10, 0.5, 1.0)[0].tolist() == [0] * 5 + [0, 1, 2, 3, 4]


@pytest.mark.parametrize("start", [-0.1, 1.0, 7.0, float("nan"), float("inf")])
def test_a_start_outside_of_the_video_is_refused(start):
    with pytest.raises(SettingsError, match=r"the video lasts 1\.00 s"):
        place(torch.ones(2, 3), 10, start, 1.0)


def test_the_original_is_ducked_while_the_generated_sound_is_loud():
    made, original = constant(0.5, 200), constant(0.25, 200)
    out = mix(made, original, RATE, duck_db=12.0, original_db=-6.0)
    assert out[0, -6].item() == pytest.approx(0.5 + 0.25 * 10 ** (-18 / 20), abs=1e-5)
    first = 0.5 + 0.25 * 10 ** ((-6 - 12 * ATTACK) / 20)
    assert out[0, 5].item() == pytest.approx(first, abs=1e-5)


def test_a_silent_made_sound_ducks_nothing():
    out = mix(constant(0.0, 10), constant(0.25, 10), RATE, duck_db=12.0)
    assert torch.allclose(out, torch.tensor(0.25))


def test_ducking_follows_the_made_sound_after_its_gain():
    made = constant(10 ** (-60 / 20), 200)
    out = mix(made, constant(0.25, 200), RATE, gain_db=40.0, duck_db=12.0)
    assert (out - made * 100)[0, -6].item() == pytest.approx(0.25 * 10 ** (-12 / 20), abs=1e-4)
