"""Every class is drawn, and its picture changes with its sound."""

import numpy as np
import pytest
from numpy.random import default_rng

from audiox_core.lab.labels import EVENT_LABELS, LABELS, TEXTURE_LABELS
from audiox_core.lab.world.canvas import Canvas
from audiox_core.lab.world.motion import Event, Moment, course_motion, event_motion
from audiox_core.lab.world.pictures import PICTURES, look

EVENT = Event(2.0, (2.0, 2.55), 0.0)


def brightness(label, motion):
    style = look(default_rng(5))
    canvas = Canvas(motion.times.size, 48, style.ground)
    PICTURES[label](canvas, style, motion)
    return canvas.pixels.mean(axis=(1, 2, 3))


def test_every_class_has_a_picture():
    assert set(PICTURES) == set(LABELS)


@pytest.mark.parametrize("label", EVENT_LABELS)
def test_a_picture_is_brighter_at_an_event_than_long_before_it(label):
    before, during = brightness(label, event_motion([EVENT], np.array([0.5, 2.0])))
    assert during > before + 0.005


@pytest.mark.parametrize("label", TEXTURE_LABELS)
def test_a_picture_of_a_texture_changes_with_its_level(label):
    course = [Moment(0.0, 0.0, 0.0), Moment(1.0, 0.0, 0.0), Moment(1.001, 1.0, 0.0)]
    off, on = brightness(label, course_motion(course, np.array([1.0, 1.001])))
    assert abs(on - off) > 0.005


def test_scenes_of_two_seeds_look_different():
    first, second = look(default_rng(1)), look(default_rng(2))
    assert not np.allclose(first.body, second.body)
