"""What a scene shows at a time, by hand."""

import numpy as np
import pytest

from audiox_core.lab.world.motion import (
    NOTICE,
    REACH,
    VISIBLE,
    Event,
    Moment,
    along,
    course_motion,
    event_motion,
    place,
)

EVENTS = [Event(1.0, (1.0, 1.0 + VISIBLE), -0.5), Event(4.0, (4.0, 4.0 + VISIBLE), 0.5)]


def at(*times):
    return event_motion(EVENTS, np.array(times))


def test_an_event_hits_at_its_onset_and_fades_while_it_is_visible():
    motion = at(0.99, 1.0, 1.0 + VISIBLE / 2, 1.0 + VISIBLE, 3.0)
    assert motion.hit == pytest.approx([0, 1, 0.5, 0, 0])


def test_an_event_is_announced_shortly_before_its_onset():
    motion = at(4.0 - NOTICE, 4.0 - NOTICE / 4, 2.5)
    assert motion.due == pytest.approx([0, 0.75, 0])


def test_things_are_lifted_between_the_onsets_and_down_at_each():
    assert at(1.0, 4.0, 2.5).lift == pytest.approx([0, 0, 1])


def test_events_are_counted_when_they_begin():
    assert at(0.5, 1.0, 3.9, 4.0).count.tolist() == [0, 1, 1, 2]


def test_an_object_moves_from_the_place_of_an_event_to_the_next():
    motion = at(1.0, 4.0)
    assert motion.x == pytest.approx([0.5 - 0.5 * REACH, 0.5 + 0.5 * REACH])
    assert place(0.0) == 0.5


def test_a_course_is_linear_between_its_moments():
    course = [Moment(0.0, 0.0, -1.0), Moment(2.0, 1.0, 1.0)]
    times = np.array([0.5, 1.0, 9.0])
    assert along(course, "level", times) == pytest.approx([0.25, 0.5, 1.0])
    motion = course_motion(course, times)
    assert motion.x == pytest.approx([place(-0.5), 0.5, place(1.0)])
    assert not motion.hit.any()
