"""Fades and crossfades: constant power, full scale, and which samples stay."""

import pytest
import torch

from audiox_core.media.crossfade import crossfade, fade_curve, paste_back

LONG = 40_000


def power_by_tenths(sound: torch.Tensor) -> torch.Tensor:
    return sound.square().mean(dim=0).view(10, -1).mean(dim=1)


def noises(seeded, similarity: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    first, other = 0.1 * torch.randn(2, 2, LONG, generator=seeded)
    return first, similarity * first + (1 - similarity**2) ** 0.5 * other


def test_a_fade_and_its_mirror_image_have_the_power_of_one():
    rising = fade_curve(1_000)
    torch.testing.assert_close(rising.square() + rising.flip(0).square(), torch.ones(1_000))
    assert (rising.diff() > 0).all()
    assert rising[0].item() == pytest.approx(torch.pi / 4 / 1_000, rel=1e-3)


@pytest.mark.parametrize("similarity", [0.0, 0.5, 0.9])
def test_a_crossfade_keeps_the_power_of_sounds_that_are_more_or_less_alike(seeded, similarity):
    first, second = noises(seeded, similarity)
    power = power_by_tenths(crossfade(first, second)) / 0.1**2
    assert power.min() > 0.93  # a linear fade of different sounds goes down to 0.5
    assert power.max() < 1.07  # an equal-power fade of equal sounds goes up to 2


def test_different_sounds_get_the_equal_power_fade():
    first, second = torch.zeros(2, 2, 100)
    first[0], second[1] = 0.5, 0.5
    faded = crossfade(first, second)
    torch.testing.assert_close(faded[1], 0.5 * fade_curve(100))
    torch.testing.assert_close(faded[0], 0.5 * fade_curve(100).flip(0))


def test_a_crossfade_of_a_sound_with_itself_is_the_sound(seeded):
    first, _ = noises(seeded)
    torch.testing.assert_close(crossfade(first, first), first)


def test_a_crossfade_exceeds_full_scale_only_if_a_sound_does(seeded):
    first, second = (noise.sign() for noise in noises(seeded))  # uncorrelated squares of height 1
    assert crossfade(first, second).abs().max() <= 1
    assert crossfade(3 * first, second).abs().max() <= 3


def test_silence_and_nothing_are_faded():
    faded = crossfade(torch.zeros(2, 100), torch.ones(2, 100))
    torch.testing.assert_close(faded[0], fade_curve(100))
    assert crossfade(torch.zeros(2, 0), torch.zeros(2, 0)).shape == (2, 0)


def test_known_samples_return_outside_of_the_spans_and_crossfades_lie_inside(seeded):
    known, decoded = noises(seeded)
    out = paste_back(decoded, known, [(2_000, 6_000), (30_000, 50_000)], fade=400)
    assert torch.equal(out[:, :2_000], known[:, :2_000])
    assert torch.equal(out[:, 2_400:5_600], decoded[:, 2_400:5_600])
    assert torch.equal(out[:, 6_000:30_000], known[:, 6_000:30_000])
    assert torch.equal(out[:, 30_400:], decoded[:, 30_400:])  # the sound ends in the span
    into, back = slice(2_000, 2_400), slice(5_600, 6_000)
    assert torch.equal(out[:, into], crossfade(known[:, into], decoded[:, into]))
    assert torch.equal(out[:, back], crossfade(decoded[:, back], known[:, back]))


def test_a_span_from_the_start_of_the_sound_has_no_crossfade_there(seeded):
    known, decoded = noises(seeded)
    out = paste_back(decoded, known, [(0, 1_000)], fade=100)
    assert torch.equal(out[:, :900], decoded[:, :900])
    assert not torch.equal(out[:, 900:1_000], decoded[:, 900:1_000])
    assert torch.equal(out[:, 1_000:], known[:, 1_000:])


def test_crossfades_take_at_most_half_of_a_span(seeded):
    known, decoded = noises(seeded)
    out = paste_back(decoded, known, [(1_000, 1_400)], fade=10_000)
    assert torch.equal(out[:, :1_000], known[:, :1_000])
    assert torch.equal(out[:, 1_400:], known[:, 1_400:])
    expected = crossfade(known[:, 1_000:1_200], decoded[:, 1_000:1_200])
    assert torch.equal(out[:, 1_000:1_200], expected)


def test_without_a_fade_the_spans_are_pasted_as_they_are():
    out = paste_back(torch.ones(1, 6), torch.zeros(1, 6), [(1, 3)], fade=0)[0]
    assert out.tolist() == [0, 1, 1, 0, 0, 0]
