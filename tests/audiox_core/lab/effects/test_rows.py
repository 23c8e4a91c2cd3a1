"""The pictures of several sources in a row."""

import numpy as np
import pytest
from numpy.random import default_rng

from audiox_core.lab.effects.sprites import draw
from audiox_core.lab.world.motion import Event, event_motion

pytestmark = pytest.mark.usefixtures("effects")
SIZE = 96
HIT = Event(1.0, (1.0, 1.55), 0.0)


def motion(*events):
    return event_motion(events or [Event(5.0, (5.0, 5.55), 0.0)], np.array([1.0]))


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("number", [0, 1])
def test_what_sounds_is_bright_in_its_own_part_of_the_row(count, number):
    still = draw([("dog", motion())] * count, SIZE, default_rng(3))
    sources = [("dog", motion(HIT) if k == number else motion()) for k in range(count)]
    brighter = draw(sources, SIZE, default_rng(3)).astype(int) - still
    columns = brighter.sum(axis=(0, 1, 2))
    assert columns.argmax() * count // SIZE == number
