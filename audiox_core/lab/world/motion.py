"""The visible state of a scene at given times: positions, hits and levels, `f` values each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", float, NDArray)

VISIBLE = 0.55  # s that an event is seen from its onset on
NOTICE = 0.4  # s before an onset in which it is announced
FAR = 1e6  # s: if there is no event before or after
REACH = 0.34  # of the picture's width: largest distance of an object from its middle


@dataclass(frozen=True)
class Event:
    """One sound event and its visibility."""

    time: float  # s, its onset
    visible: tuple[float, float]  # s, from and to
    pan: float  # -1 left .. 1 right, in the sound as in the picture


@dataclass(frozen=True)
class Moment:
    """A point of a texture's course, which is linear between two of them."""

    time: float  # s
    level: float  # 0..1
    pan: float  # -1 left .. 1 right


@dataclass(frozen=True)
class Motion:
    """A scene at `f` times."""

    times: NDArray  # s
    x: NDArray  # place from left to right, 0..1
    hit: NDArray  # 1 at an onset, falling to 0 while the event is visible
    due: NDArray  # 0 until shortly before an onset, 1 when it comes
    lift: NDArray  # 0 at every onset, 1 away from them
    count: NDArray  # events that have begun
    level: NDArray  # of a texture


def place(pan: Number) -> Number:
    """Horizontal position in the picture, 0..1, of an object with this `pan`."""
    return 0.5 + REACH * pan


def event_motion(events: Sequence[Event], times: NDArray) -> Motion:
    """The state of discrete events at `times`, in seconds and any order."""
    onsets = np.array([event.time for event in events])
    places = place(np.array([event.pan for event in events]))
    count = np.searchsorted(onsets, times, side="right")
    since = times - np.concatenate(([-FAR], onsets))[count]
    until = np.concatenate((onsets, [FAR]))[count] - times
    last = places[np.maximum(count - 1, 0)]
    coming = places[np.minimum(count, places.size - 1)]
    travelled = np.clip((since - VISIBLE) / np.maximum(since + until - VISIBLE - 0.1, 0.05), 0, 1)
    up, down = np.clip(since / NOTICE, 0, 1), np.clip(until / NOTICE, 0, 1)
    return Motion(
        times=times,
        x=last + (coming - last) * travelled,
        hit=np.clip(1 - since / VISIBLE, 0, 1),
        due=1 - down,
        lift=np.minimum(1 - (1 - up) ** 2, 1 - (1 - down) ** 2),
        count=count,
        level=np.zeros_like(times),
    )


def course_motion(course: Sequence[Moment], times: NDArray) -> Motion:
    """The state of a texture at `times`."""
    still = np.zeros_like(times)
    pan, level = (along(course, name, times) for name in ("pan", "level"))
    return Motion(times, place(pan), still, still, still, still.astype(int), level)


def along(course: Sequence[Moment], name: str, times: NDArray) -> NDArray:
    """`level` or `pan` of a course at given times."""
    knots = [moment.time for moment in course]
    return np.interp(times, knots, [getattr(moment, name) for moment in course])
