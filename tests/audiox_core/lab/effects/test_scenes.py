"""Scenes: what is seen is heard, at the level and in the order that the caption says."""

import re

import numpy as np
import pytest
import torch

from audiox_core.errors import SettingsError
from audiox_core.lab.effects.labels import EVENT_LABELS, LABELS, TEXTURE_LABELS
from audiox_core.lab.effects.scenes import (
    GAP,
    GAPS,
    KNEE,
    LOUDNESS,
    PEAK,
    SEEN,
    SIDE,
    effect_scene,
    levelled,
)

RATE = 16_000
COUNTS = {"one": 1, "two": 2, "three": 3, "four": 4}


def loudest(sound):
    window = RATE // 10
    frames = sound[:, : sound.shape[1] // window * window].reshape(2, -1, window)
    return 20 * np.log10(np.sqrt(np.square(frames).mean(axis=(0, 2)).max()))


def test_the_same_seed_is_the_same_scene():
    assert effect_scene(5) == effect_scene(5)
    assert effect_scene(5) != effect_scene(6)


def test_every_class_comes():
    drawn = {part.label for seed in range(300) for part in effect_scene(seed).parts}
    assert drawn == set(LABELS)


def test_some_scenes_have_two_sources_in_the_order_of_the_caption():
    pairs = [s for seed in range(200) if len((s := effect_scene(seed)).parts) == 2]
    assert 20 <= len(pairs) <= 60
    for item in pairs:
        first, second = item.parts
        assert first.label != second.label
        ends = [e.time for e in first.events] or [m.time for m in first.course if m.level > 0]
        begins = [e.time for e in second.events] or [m.time for m in second.course if m.level > 0]
        assert max(ends) < min(begins)


@pytest.mark.parametrize("label", EVENT_LABELS)
def test_events_keep_their_distance(label):
    for seed in range(30):
        item = effect_scene(seed, label)
        times = [event.time for event in item.events]
        gaps = np.diff(times)
        assert times
        assert times[-1] < item.seconds - 0.5
        assert gaps.size == 0 or gaps.min() > GAPS.get(label, GAP) - 1e-3


@pytest.mark.parametrize("label", TEXTURE_LABELS)
def test_a_texture_sounds_for_a_while(label):
    for seed in range(30):
        course = effect_scene(seed, label).parts[0].course
        assert max(moment.level for moment in course) >= 0.6
        assert [m.time for m in course] == sorted(m.time for m in course)


def test_a_count_in_the_caption_is_true():
    counted = 0
    for seed in range(300):
        item = effect_scene(seed, EVENT_LABELS[seed % len(EVENT_LABELS)])
        for word in item.caption.replace(":", " ").split():
            if word in COUNTS:
                assert COUNTS[word] == len(item.events), item.caption
                counted += 1
    assert counted > 60


def test_both_counts_of_a_pair_are_true_and_in_order():
    checked = 0
    for seed in range(600):
        item = effect_scene(seed)
        if len(item.parts) == 2 and all(part.events for part in item.parts):
            found = [COUNTS[w] for w in re.split(r"\W+", item.caption) if w in COUNTS]
            expected = [len(part.events) for part in item.parts]
            # one event is also called "a bark"
            assert found in (expected, [n for n in expected if n > 1]) or 1 in expected
            checked += 1
    assert checked > 20


def test_all_events_are_within_the_pictures_of_a_window():
    for seed in range(300):
        assert all(event.time < SEEN - 0.5 for event in effect_scene(seed, None, 10.96).events)


def test_the_sources_of_a_pair_are_heard_where_they_are_seen():
    item = next(s for seed in range(50) if len((s := effect_scene(seed)).parts) == 2)
    pans = [{e.pan for e in (part.events or part.course)} for part in item.parts]
    assert pans == [{-SIDE}, {SIDE}]


@pytest.mark.usefixtures("effects")
def test_words_of_loudness_are_true():
    levels = {}
    for seed in range(60):
        item = effect_scene(seed, "rain")
        kind = "quiet" if item.parts[0].level_db < -25 else "loud" * (item.parts[0].level_db > -15)
        found = loudest(item.audio(RATE).numpy())
        level = item.parts[0].level_db
        assert level - 3 < found < level + 0.5  # high peaks of drops are compressed
        levels.setdefault(kind, []).append(item.caption)
    assert levels.keys() == {"quiet", "", "loud"}
    said = {"loud": r"\bloud\b|close by", "quiet": r"quiet|soft|far away|distance"}
    for kind, pattern in said.items():
        assert all(re.search(pattern, text) for text in levels[kind])
        assert not any(re.search(pattern, text) for text in levels[""])


def test_a_level_is_that_of_the_loudest_tenth_of_a_second():
    sound = np.zeros((2, 2 * RATE), np.float32)
    sound[:, 8_000:9_600] = np.sin(np.arange(1_600) * 0.2)
    for level_db in (LOUDNESS[-1][0], LOUDNESS[1][1]):
        assert loudest(levelled(sound, RATE, level_db)) == pytest.approx(level_db, abs=0.1)
    click = np.zeros((2, RATE), np.float32)
    click[:, 100] = 1
    assert KNEE < np.abs(levelled(click, RATE, -12.0)).max() <= PEAK
    assert not levelled(np.zeros((2, RATE), np.float32), RATE, -12.0).any()


@pytest.mark.usefixtures("effects")
@pytest.mark.parametrize("label", LABELS)
def test_a_scene_is_heard_when_something_is_seen(label):
    item = effect_scene(7, label, 8.0)
    sound = item.audio(RATE)
    assert sound.shape == (2, 8 * RATE)
    assert torch.isfinite(sound).all()
    assert 0.01 < sound.abs().max() <= 1
    power = sound.square().mean(dim=0)
    for event in item.events:
        at = round(event.time * RATE)
        assert (
            power[at : at + RATE // 4].mean() > 0.02 * power.unfold(0, RATE // 4, 800).mean(1).max()
        )


@pytest.mark.usefixtures("effects")
def test_the_sound_is_on_the_side_of_the_picture():
    item = effect_scene(3, "ball", 8.0)
    event = max(item.events, key=lambda e: abs(e.pan))
    at = round(event.time * RATE)
    left, right = item.audio(RATE)[:, at : at + 800].square().mean(dim=1)
    assert (right > left) == (event.pan > 0)


def test_wrong_arguments_are_refused():
    with pytest.raises(SettingsError, match="Unknown class 'cat': choose one of dog"):
        effect_scene(0, "cat")
    with pytest.raises(SettingsError, match="it must last 2 s or more"):
        effect_scene(0, seconds=1.0)
