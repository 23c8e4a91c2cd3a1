"""The pictures of several sources side by side."""

import numpy as np
import pytest
from numpy.random import default_rng

from audiox_core.lab.effects.sprites import draw
from audiox_core.lab.world.motion import Event, event_motion, place

pytestmark = pytest.mark.usefixtures("effects")
SIZE = 96


def motion(time, pan):
    """At 1 s, of an event at `time`."""
    return event_motion([Event(time, (time, time + 0.55), pan)], np.array([1.0]))


@pytest.mark.parametrize("pans", [(-0.7, 0.7), (-0.9, 0.0, 0.9)], ids=["two", "three"])
@pytest.mark.parametrize("number", [0, 1])
def test_what_sounds_is_bright_where_it_is_heard(pans, number):
    still = draw([("dog", motion(5.0, pan)) for pan in pans], SIZE, default_rng(3))
    sources = [("dog", motion(1.0 if k == number else 5.0, pan)) for k, pan in enumerate(pans)]
    brighter = draw(sources, SIZE, default_rng(3)).astype(int) - still
    columns = brighter.sum(axis=(0, 1, 2))
    assert columns.argmax() / SIZE == pytest.approx(place(pans[number]), abs=0.2)
