"""Onsets of sounds, and their one-to-one matching with events."""

import pytest
import torch

from audiox_core.analysis.onsets import Matching, match, onset_times
from audiox_core.lab.evaluation.clips import held_out_scene
from audiox_core.lab.labels import EVENT_LABELS

RATE = 22_050


@pytest.mark.parametrize("label", EVENT_LABELS)
def test_every_event_of_a_render_is_found_at_its_time(label):
    scene = held_out_scene(5, label)
    found = match(onset_times(scene.audio(RATE), RATE), [e.time for e in scene.events], 0.03)
    assert found.f1 == 1


def test_silence_and_steady_noise_have_no_onsets(seeded):
    assert onset_times(torch.zeros(2, RATE), RATE) == []
    assert onset_times(0.1 * torch.randn(2, 3 * RATE, generator=seeded), RATE) == []


def test_matching_pairs_one_to_one_and_finds_the_most():
    # taken greedily from the nearest pair on, 1.0 would lose its only partner
    result = match([1.1, 1.2], [1.0, 1.14], 0.15)
    assert len(result.offsets) == 2
    assert match([1.0, 1.05, 1.1], [1.0], 0.15) == Matching((0.0,), 3, 1)
    assert match([], [1.0], 0.15).f1 == 0
    both = match([1.0], [1.0], 0.15) + match([2.0, 5.0], [2.1], 0.15)
    assert (both.precision, both.recall) == pytest.approx((2 / 3, 1))
    assert both.f1 == pytest.approx(0.8)
