"""Pictures: each class has its own, which changes where it sounds."""

import numpy as np
import pytest

from audiox_core.lab.effects.labels import EVENT_LABELS, LABELS, TEXTURE_LABELS
from audiox_core.lab.effects.scenes import effect_scene

pytestmark = pytest.mark.usefixtures("effects")


def test_frames_have_the_size_that_is_asked_for_at_any_times():
    item = effect_scene(1, "dog")
    frames = item.frames([0.5, 0.1, 3.0], 48)
    assert frames.shape == (3, 3, 48, 48)
    assert (frames[1] == item.frames([0.1], 48)[0]).all()


@pytest.mark.parametrize("label", EVENT_LABELS)
def test_an_event_is_bright(label):
    item = effect_scene(4, label)
    event = item.events[0].time
    before, at = item.frames([event - 0.05, event + 0.05], 48).float()
    assert (at - before).abs().mean() > 8
    assert at.mean() > before.mean() + 4


@pytest.mark.parametrize("label", TEXTURE_LABELS)
def test_a_texture_moves_while_it_sounds(label):
    item = effect_scene(4, label)
    course = item.parts[0].course
    loud = max(course, key=lambda moment: moment.level).time
    frames = item.frames([loud, loud + 0.13, loud + 0.26], 48).float()
    assert frames.diff(dim=0).abs().mean() > 0.4


def test_classes_look_different():
    pictures = []
    for label in LABELS:
        item = effect_scene(9, label)
        times = [e.time for e in item.events] or [
            max(item.parts[0].course, key=lambda m: m.level).time
        ]
        pictures.append(item.frames(times[:1], 48)[0].float().numpy())
    apart = [np.abs(a - b).mean() for n, a in enumerate(pictures) for b in pictures[n + 1 :]]
    assert min(apart) > 3


def test_two_sources_stand_side_by_side():
    pairs = (s for seed in range(200) if len((s := effect_scene(seed)).parts) == 2)
    item = next(s for s in pairs if all(part.events for part in s.parts))
    for part, half in zip(item.parts, (slice(0, 32), slice(32, 64)), strict=True):
        time = part.events[0].time
        before, at = item.frames([time - 0.02, time + 0.05], 64).float()
        change = (at - before).abs().mean(dim=(0, 1))
        assert change[half].mean() > 1.5 * change.roll(32)[half].mean()
