"""Scenes: deterministic, events as promised, and cheap."""

import time
from itertools import pairwise

import pytest
import torch

from audiox_core.errors import SettingsError
from audiox_core.lab.labels import EVENT_LABELS, LABELS, TEXTURE_LABELS
from audiox_core.lab.world import scene
from audiox_core.lab.world.scenes import GAP

SEEDS = range(40)


def test_there_are_twelve_classes():
    assert len(set(LABELS)) == 12
    assert set(EVENT_LABELS) | set(TEXTURE_LABELS) == set(LABELS)


def test_a_seed_draws_every_class_sometime():
    assert {scene(seed).label for seed in range(150)} == set(LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_sound_and_pictures_have_their_shapes(label):
    made = scene(3, label, 4.0)
    audio, frames = made.audio(16_000), made.frames([0.0, 1.5, 3.9], 24)
    assert audio.shape == (2, 64_000)
    assert audio.dtype == torch.float32
    assert frames.shape == (3, 3, 24, 24)
    assert frames.dtype == torch.uint8


@pytest.mark.parametrize("label", LABELS)
def test_the_loudest_sample_lies_between_minus_nine_and_minus_three_decibels(label):
    peaks = [scene(seed, label, 4.0).audio(8_000).abs().max().log10().item() for seed in range(6)]
    assert -9.01 < 20 * min(peaks) < 20 * max(peaks) < -2.99
    assert 20 * (max(peaks) - min(peaks)) > 1


@pytest.mark.parametrize("label", LABELS)
def test_a_seed_gives_the_same_scene(label):
    first, again, other = scene(5, label), scene(5, label), scene(6, label)
    assert first == again != other
    torch.testing.assert_close(first.audio(8_000), again.audio(8_000), rtol=0, atol=0)
    assert not torch.equal(first.audio(8_000), other.audio(8_000))
    assert not torch.equal(first.frames([1.0], 16), other.frames([1.0], 16))


def test_the_scene_of_a_seed_is_stable_between_versions():
    made = scene(7, "ball")
    assert made.caption == "a ball falls and bounces with a thud"
    assert [event.time for event in made.events] == [
        0.3255,
        2.1423,
        3.2558,
        4.8195,
        7.0621,
        7.9158,
        8.783,
        9.7867,
    ]


@pytest.mark.parametrize("label", LABELS)
def test_a_picture_is_the_same_whatever_else_is_asked_for(label):
    made = scene(8, label)
    times = [k / 10 for k in range(110)]
    whole = made.frames(times, 16)
    alone = torch.cat([made.frames([times[k]], 16) for k in (0, 37, 70, 109)])
    assert (whole[[0, 37, 70, 109]].int() - alone.int()).abs().max() <= 1  # of 255


@pytest.mark.parametrize("label", EVENT_LABELS)
@pytest.mark.parametrize("seconds", [2.0, 5.0, 11.0])
def test_events_are_apart_and_visible_long_enough(label, seconds):
    for seed in SEEDS:
        events = scene(seed, label, seconds).events
        assert all(b.time - a.time >= GAP - 1e-3 for a, b in pairwise(events))
        assert all(event.visible[0] <= event.time for event in events)
        assert all(event.visible[1] - event.time >= 0.4 for event in events)
        assert events[0].time >= 0.25
        assert events[-1].visible[1] <= seconds
        assert 1 <= len(events) <= seconds


def test_ten_seconds_hold_three_to_eight_events_at_no_even_pace():
    made = [scene(seed, "bell", 10.0).events for seed in SEEDS]
    assert {len(events) for events in made} == {3, 4, 5, 6, 7, 8}
    spread = [
        torch.tensor([event.time for event in events], dtype=torch.float64).diff().std().item()
        for events in made
    ]
    assert min(spread) > 0.05


def test_pictures_of_another_scene_hit_the_events_only_by_chance():
    made = [[e.time for e in scene(seed, "bell", 10.0).events] for seed in range(200)]
    hits = [
        any(abs(time - other) <= 0.15 for other in made[index - 1])
        for index, times in enumerate(made)
        for time in times
    ]
    assert sum(hits) / len(hits) < 0.22


@pytest.mark.parametrize("label", TEXTURE_LABELS)
def test_a_texture_has_a_level_instead_of_events(label):
    made = scene(4, label)
    level = made.level([k / 10 for k in range(110)])
    assert made.events == ()
    assert level.min() < 0.3
    assert level.max() > 0.6


@pytest.mark.parametrize("label", LABELS)
def test_rendering_is_faster_than_real_time(label):
    made = scene(9, label)
    start = time.process_time()
    made.audio(44_100)
    made.frames([k / 5 for k in range(55)], 64)
    assert time.process_time() - start < made.seconds / 2  # about a hundredth of them is usual


def test_an_unknown_class_names_the_known_ones():
    with pytest.raises(SettingsError, match=r"'cat'.*ball.*engine"):
        scene(1, "cat")


def test_a_scene_too_short_for_an_event_is_refused():
    with pytest.raises(SettingsError, match="lasts 1 s: it must last 2 s"):
        scene(1, "ball", 1.0)
