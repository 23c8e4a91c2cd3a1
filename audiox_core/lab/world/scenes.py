"""Scenes: pictures whose events make sounds at exact times, and their captions.

A scene is a few numbers; its sound and its pictures are rendered from them, at any sample rate and
at any times. The same seed is the same scene. Axes: `n` samples, `f` frames, `h w` pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from torch import Tensor

from ...errors import SettingsError
from ..labels import EVENT_LABELS, LABELS
from .canvas import Canvas
from .captions import caption
from .motion import VISIBLE, Event, Moment, Motion, along, course_motion, event_motion
from .pictures import PICTURES, look
from .sounds import EVENT_SOUNDS
from .textures import TEXTURE_SOUNDS

GAP = 0.75  # s between two onsets, at least
OFTEN = 3, 8.5  # events in 10 s, from and to
FIRST, LAST = 0.3, 0.6  # s without onset after the beginning and before the end
SHORTEST = 2.0  # s, of a scene
PLOT, SOUND, LOOK = range(3)  # streams of random numbers of one seed
PITCH_WORDS = {-1: (0.74, 0.84), 0: (0.93, 1.07), 1: (1.19, 1.35)}  # a word: factors of the pitch
BATCH = 64  # frames that are drawn at once


@dataclass(frozen=True)
class Scene:
    """A few seconds of pictures and sound."""

    label: str
    caption: str
    seconds: float
    seed: int
    events: tuple[Event, ...]  # by time; none in a texture
    course: tuple[Moment, ...] = field(default=(), repr=False)  # of a texture, by time
    pitch: float = 1.0  # factor, as in the caption
    peak_db: float = -6.0  # dBFS

    def audio(self, sample_rate: int) -> Tensor:
        """The sound, `2 n` float32; `sample_rate` in Hz."""
        samples = round(self.seconds * sample_rate)
        render = self._texture if self.course else self._hits
        sound = render(samples, sample_rate)
        sound *= 10 ** (self.peak_db / 20) / max(np.abs(sound).max(), 1e-9)
        return torch.from_numpy(sound)

    def frames(self, times: Sequence[float], size: int) -> Tensor:
        """The pictures at `times` in seconds, `f 3 size size` uint8."""
        at = np.asarray(times, np.float64)
        style = look(default_rng([self.seed, LOOK]))
        pictures = np.empty((at.size, 3, size, size), np.uint8)
        for start in range(0, at.size, BATCH):
            motion = self._motion(at[start : start + BATCH])
            canvas = Canvas(motion.times.size, size, style.ground)
            PICTURES[self.label](canvas, style, motion)
            pictures[start : start + BATCH] = canvas.bytes()
        return torch.from_numpy(pictures)

    def level(self, times: Sequence[float]) -> Tensor:
        """Level of a texture at `times`, `f` in 0..1; for events their brightness."""
        motion = self._motion(np.asarray(times, np.float64))
        return torch.from_numpy(motion.level if self.course else motion.hit).float()

    def _motion(self, times: NDArray) -> Motion:
        if self.course:
            return course_motion(self.course, times)
        return event_motion(self.events, times)

    def _hits(self, samples: int, sample_rate: int) -> NDArray:
        sound = np.zeros((2, samples), np.float32)
        for index, event in enumerate(self.events):
            rng = default_rng([self.seed, SOUND, index])
            one = EVENT_SOUNDS[self.label](rng, sample_rate, self.pitch * rng.uniform(0.97, 1.03))
            start = round(event.time * sample_rate)
            piece = sound[:, start : start + one.size]
            piece += rng.uniform(0.75, 1.0) * gains(event.pan)[:, None] * one[: piece.shape[-1]]
        return sound

    def _texture(self, samples: int, sample_rate: int) -> NDArray:
        # a hundred values a second, then straight lines: exact enough, and much faster
        coarse = np.linspace(0, self.seconds, round(100 * self.seconds) + 1)
        at = np.arange(samples, dtype=np.float32) * np.float32(1 / sample_rate)
        level = np.interp(at, coarse, along(self.course, "level", coarse)).astype(np.float32)
        rng = default_rng([self.seed, SOUND])
        sound = TEXTURE_SOUNDS[self.label](rng, sample_rate, self.pitch, level)
        sides = gains(along(self.course, "pan", coarse))
        return np.stack([sound * np.interp(at, coarse, side).astype(np.float32) for side in sides])


def scene(seed: int, label: str | None = None, seconds: float = 11.0) -> Scene:
    """The scene of a seed.

    Args:
        seed: of all that is drawn, 0 or more.
        label: its class, one of `LABELS`; None: drawn too.
        seconds: its length.

    Raises:
        SettingsError: an unknown class, or less than `SHORTEST`.
    """
    check_scene(label, LABELS, seconds)
    rng = default_rng([seed, PLOT])
    drawn = LABELS[rng.integers(len(LABELS))]
    label = label or drawn
    pitch = int(rng.integers(-1, 2))
    events: tuple[Event, ...] = ()
    course: tuple[Moment, ...] = ()
    pace = 0
    if label in EVENT_LABELS:
        events = _events(label, rng, seconds)
        pace = _pace(len(events), seconds)
    else:
        course = COURSES[label](rng, seconds)
    return Scene(
        label=label,
        caption=caption(label, pitch, pace, rng),
        seconds=seconds,
        seed=seed,
        events=events,
        course=course,
        pitch=rng.uniform(*PITCH_WORDS[pitch]),
        peak_db=rng.uniform(-9.0, -3.0),
    )


def check_scene(label: str | None, labels: Sequence[str], seconds: float) -> None:
    """Raise SettingsError for a class that is none of `labels`, or less than `SHORTEST`."""
    if label is not None and label not in labels:
        raise SettingsError(f"Unknown class {label!r}: choose one of {', '.join(labels)}.")
    if seconds < SHORTEST:
        raise SettingsError(f"The scene lasts {seconds:g} s: it must last {SHORTEST:g} s or more.")


def gains(pan: float | NDArray) -> NDArray:
    """Gains of left and right, of equal power wherever the sound is."""
    angle = (np.asarray(pan) + 1) * np.pi / 4
    return np.stack((np.cos(angle), np.sin(angle))).astype(np.float32)


def _events(label: str, rng: Generator, seconds: float) -> tuple[Event, ...]:
    span = seconds - FIRST - LAST
    most = int(span / GAP) + 1
    count = int(np.clip(rng.uniform(*OFTEN) * seconds / 10, 1, most))
    free = np.sort(rng.uniform(0, span - (count - 1) * GAP, count))
    times = (FIRST + free + GAP * np.arange(count)).round(4)
    return tuple(
        Event(float(time), (float(time), float(time) + VISIBLE), float(pan))
        for time, pan in zip(times, _pans(label, rng, count), strict=True)
    )


def _pace(count: int, seconds: float) -> int:
    rate = count / seconds
    return -1 if rate < 0.4 else 1 if rate > 0.62 else 0


def _pans(label: str, rng: Generator, count: int) -> NDArray:
    """Where each event takes place."""
    if label == "marimba":  # one of the bars
        return rng.integers(-2, 3, count) / 2
    if label in ("ball", "beep", "drip"):
        return rng.uniform(-0.9, 0.9, count)
    if label == "footsteps":  # from one side to the other
        return np.linspace(-0.85, 0.85, count) * rng.choice([-1, 1])
    return np.full(count, rng.uniform(-0.6, 0.6))


def _showers(rng: Generator, seconds: float) -> tuple[Moment, ...]:
    """Rain that stops and starts again."""
    pan = float(rng.uniform(-0.7, 0.7))
    wet = bool(rng.integers(2))
    time, knots = 0.0, []
    while time < seconds:
        level = float(rng.uniform(0.65, 1.0)) if wet else 0.0
        lasts = float(rng.uniform(1.5, 3.5))
        knots += [Moment(time, level, pan), Moment(time + lasts - 0.25, level, pan)]
        time, wet = time + lasts, not wet
    return tuple(knots)


def _gusts(rng: Generator, seconds: float) -> tuple[Moment, ...]:
    """The wind rises and falls, and turns a little."""
    time, strong = 0.0, bool(rng.integers(2))
    knots = []
    while time < seconds + 2:
        level = rng.uniform(0.75, 1.0) if strong else rng.uniform(0.05, 0.25)
        knots.append(Moment(time, float(level), 0.0))
        time, strong = time + float(rng.uniform(1.2, 2.6)), not strong
    return tuple(knots)


def _drive(rng: Generator, seconds: float) -> tuple[Moment, ...]:
    """A car that passes from one side to the other, with changing speed."""
    way = float(rng.choice([-1, 1]))
    time, fast = 0.0, bool(rng.integers(2))
    knots = []
    while time < seconds + 2:
        level = rng.uniform(0.75, 1.0) if fast else rng.uniform(0.0, 0.2)
        pan = way * (1.6 * min(time / seconds, 1) - 0.8)
        knots.append(Moment(time, float(level), pan))
        time, fast = time + float(rng.uniform(1.4, 2.8)), not fast
    return tuple(knots)


COURSES = {"rain": _showers, "wind": _gusts, "engine": _drive}
