"""Scenes of one or two sources whose recorded sounds have visible causes, and their captions.

As `world.scenes`: a scene is a few numbers, and its sound and pictures are rendered from them at
any rate. Axes: `n` samples, `f` frames, `h w` pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from torch import Tensor

from ..world.motion import VISIBLE, Event, Moment, Motion, along, course_motion, event_motion
from ..world.scenes import BATCH, SHORTEST, check_scene, gains
from .captions import describe, join, with_loudness
from .labels import EVENT_LABELS, LABELS
from .sounds import event_sound, texture_sound
from .sprites import draw

VERSION = 4  # of the rendering: clips of another one are others
FIRST, LAST = 0.3, 0.8  # s without onset after the beginning and before the end
FADES = {"thunder": 3.0, "chime": 2.2, "bell": 1.5, "explosion": 1.6, "laugh": 1.2}  # s, as LAST
SEEN = 10.0  # s: what happens later is in no picture
SIDE = 0.7  # pan of the two sources of a scene, left and right of the middle
PAIRS = 0.2  # share of the scenes with two sources, one after the other
COUNTED = 0.45  # share of the scenes with a few events, whose caption counts them
MOST_COUNTED = 4
OFTEN = 3, 8.5  # events in 10 s of the other scenes
GAPS = {"thunder": 3.0, "explosion": 1.8, "laugh": 1.5, "chime": 1.8, "bell": 1.2, "door": 1.0}
GAP = 0.75  # s between two onsets of other classes, at least
LOUDNESS = {-1: (-30.0, -26.0), 0: (-22.0, -16.0), 1: (-14.0, -11.0)}  # dBFS of the loudest 0.1 s
PEAK, KNEE = 0.95, 0.5  # highest sample; from the knee on samples are compressed
COMPRESSED = 3.0  # highest sample before that
PLOT, SOUND, LOOK = range(3)  # streams of random numbers of one seed


@dataclass(frozen=True)
class Part:
    """One source of sound."""

    label: str
    events: tuple[Event, ...]  # by time; none in a texture
    course: tuple[Moment, ...] = field(default=(), repr=False)  # of a texture, by time
    pitch: float = 1.0  # factor
    level_db: float = -18.0  # dBFS, root mean square of the loudest 0.1 s

    def motion(self, times: NDArray) -> Motion:
        """The visible state at `times` in seconds."""
        if self.course:
            return course_motion(self.course, times)
        return event_motion(self.events, times)

    def sound(self, samples: int, sample_rate: int, seed: Sequence[int]) -> NDArray:
        """The sound at its level, `2 n`."""
        sound = (self._texture if self.course else self._hits)(samples, sample_rate, seed)
        return levelled(sound, sample_rate, self.level_db)

    def _hits(self, samples: int, sample_rate: int, seed: Sequence[int]) -> NDArray:
        sound, render = np.zeros((2, samples), np.float32), event_sound(self.label)
        for index, event in enumerate(self.events):
            rng = default_rng([*seed, index])
            one = render(rng, sample_rate, self.pitch * rng.uniform(0.97, 1.03))
            start = round(event.time * sample_rate)
            piece = sound[:, start : start + one.size]
            piece += rng.uniform(0.75, 1.0) * gains(event.pan)[:, None] * one[: piece.shape[-1]]
        return sound

    def _texture(self, samples: int, sample_rate: int, seed: Sequence[int]) -> NDArray:
        seconds = samples / sample_rate
        coarse = np.linspace(0, seconds, round(100 * seconds) + 1)
        at = np.arange(samples, dtype=np.float32) / np.float32(sample_rate)
        level = np.interp(at, coarse, along(self.course, "level", coarse)).astype(np.float32)
        mono = texture_sound(self.label)(default_rng(seed), sample_rate, self.pitch, level)
        sides = gains(along(self.course, "pan", coarse))
        return np.stack([mono * np.interp(at, coarse, side).astype(np.float32) for side in sides])


@dataclass(frozen=True)
class EffectScene:
    """A few seconds of pictures and sound."""

    caption: str
    seconds: float
    seed: int
    parts: tuple[Part, ...]  # in the order in which they begin

    @property
    def label(self) -> str:
        """Class of the first source."""
        return self.parts[0].label

    @property
    def events(self) -> tuple[Event, ...]:
        """Events of all sources, by time."""
        events = (event for part in self.parts for event in part.events)
        return tuple(sorted(events, key=lambda event: event.time))

    def audio(self, sample_rate: int) -> Tensor:
        """The sound, `2 n` float32; `sample_rate` in Hz. Raises SettingsError: see `recording`."""
        samples = round(self.seconds * sample_rate)
        sound = np.zeros((2, samples), np.float32)
        for number, part in enumerate(self.parts):
            sound += part.sound(samples, sample_rate, (self.seed, SOUND, number))
        return torch.from_numpy(sound * min(1.0, PEAK / max(np.abs(sound).max(), 1e-9)))

    def frames(self, times: Sequence[float], size: int) -> Tensor:
        """The pictures at `times` in seconds, `f 3 size size` uint8."""
        at = np.asarray(times, np.float64)
        pictures = np.empty((at.size, 3, size, size), np.uint8)
        for start in range(0, at.size, BATCH):
            some = slice(start, start + BATCH)
            motions = [(part.label, part.motion(at[some])) for part in self.parts]
            pictures[some] = draw(motions, size, default_rng([self.seed, LOOK]))
        return torch.from_numpy(pictures)


def levelled(sound: NDArray, sample_rate: int, level_db: float) -> NDArray:
    """A sound `2 n` whose loudest 0.1 s have this level in dBFS, or less if its peaks are high."""
    window = max(1, sample_rate // 10)
    frames = sound[:, : sound.shape[1] // window * window].reshape(2, -1, window)
    loudest = np.sqrt(np.square(frames).mean(axis=(0, 2)).max(initial=1e-12))
    gain = 10 ** (level_db / 20) / max(loudest, 1e-6)
    sound = sound * min(gain, COMPRESSED / max(np.abs(sound).max(), 1e-9))
    size = np.abs(sound)
    soft = KNEE + (PEAK - KNEE) * np.tanh((size - KNEE) / (PEAK - KNEE))
    return np.where(size > KNEE, np.sign(sound) * soft, sound).astype(np.float32)


def effect_scene(
    seed: int, label: str | None = None, seconds: float = 11.0, *, pairs: float = PAIRS
) -> EffectScene:
    """The scene of a seed.

    Args:
        seed: of all that is drawn, 0 or more.
        label: class of its only source, one of `LABELS`; None: drawn too, for one or two sources.
        seconds: its length.
        pairs: share of the seeds that have two sources.

    Raises:
        SettingsError: an unknown class, or less than `SHORTEST`.
    """
    check_scene(label, LABELS, seconds)
    rng = default_rng([seed, PLOT])
    first, second = (LABELS[k] for k in rng.choice(len(LABELS), 2, replace=False))
    two = rng.random() < pairs and label is None and seconds >= 4 * SHORTEST
    loudness = int(rng.choice((-1, 0, 0, 0, 1)))
    level = LOUDNESS[loudness]
    if not two:
        counted = rng.random() < COUNTED
        part, phrase = _part(label or first, (0.0, seconds), level, None, rng, counted=counted)
        phrases, parts = [phrase], [part]
    else:
        middle = float(rng.uniform(0.42, 0.58)) * seconds
        spans = ((0.0, middle), (middle, seconds))
        found = [
            _part(name, span, level, side, rng, counted=True)
            for name, span, side in zip((first, second), spans, (-SIDE, SIDE), strict=True)
        ]
        parts, phrases = [part for part, _ in found], [phrase for _, phrase in found]
    caption = with_loudness(join(phrases, rng), loudness, rng)
    return EffectScene(caption, seconds, seed, tuple(parts))


def _part(
    label: str,
    span: tuple[float, float],
    level: tuple[float, float],
    side: float | None,
    rng: Generator,
    *,
    counted: bool,
) -> tuple[Part, str]:
    """A source that sounds between two times in seconds, and a phrase for it.

    `side` is its pan where there is another source beside it.
    """
    start, end = span
    pitch, level_db = float(rng.uniform(0.85, 1.18)), float(rng.uniform(*level))
    if label not in EVENT_LABELS:
        whole = counted and start == 0 and rng.random() < 0.5
        course = _course(start, end, side, whole, rng)
        return Part(label, (), course, pitch, level_db), describe(label, 0, 0, counted, rng)
    times = _times(label, (start, min(end, SEEN)), side is None, counted, rng)
    events = tuple(
        Event(float(time), (float(time), float(time) + VISIBLE), float(pan))
        for time, pan in zip(times, _pans(label, len(times), side, rng), strict=True)
    )
    rate = len(events) / (end - start)
    pace = -1 if rate < 0.4 else 1 if rate > 0.62 else 0
    phrase = describe(label, len(events), pace, counted, rng)
    return Part(label, events, (), pitch, level_db), phrase


def _times(
    label: str, span: tuple[float, float], alone: bool, counted: bool, rng: Generator
) -> NDArray:
    """Onsets in seconds; before another source follows, the last one has time to fade."""
    start, end = span
    gap, last = GAPS.get(label, GAP), LAST if alone else FADES.get(label, LAST)
    free_seconds = end - start - FIRST - last
    most = max(1, int(free_seconds / gap) + 1)
    count = int(rng.integers(1, MOST_COUNTED + 1)) if counted else int(rng.uniform(*OFTEN))
    count = int(np.clip(count * (1 if counted else (end - start) / 10), 1, most))
    free = np.sort(rng.uniform(0, free_seconds - (count - 1) * gap, count))
    return (start + FIRST + free + gap * np.arange(count)).round(4)


def _pans(label: str, count: int, side: float | None, rng: Generator) -> NDArray:
    """Where each event takes place."""
    if side is not None:
        return np.full(count, side)
    if label == "footsteps" and count > 1:
        return np.linspace(-0.8, 0.8, count) * rng.choice([-1, 1])
    if label in ("ball", "drip", "explosion"):
        return rng.uniform(-0.8, 0.8, count)
    return np.full(count, rng.uniform(-0.6, 0.6))


def _course(
    start: float, end: float, side: float | None, whole: bool, rng: Generator
) -> tuple[Moment, ...]:
    """It sounds and pauses, or sounds all the time; silent outside of `start` to `end`."""
    pan = float(rng.uniform(-0.6, 0.6)) if side is None else side
    knots = [Moment(0.0, 0.0, pan), Moment(start, 0.0, pan)] if start > 0 else []
    time, loud = start + (0.1 if start > 0 else 0.0), start > 0 or bool(rng.integers(2)) or whole
    while time < end - 0.5:
        lasts = end - time if whole else float(rng.uniform(1.5, 3.8))
        lasts = min(lasts, end - time)
        level = float(rng.uniform(0.6, 1.0)) if loud else 0.0
        knots += [Moment(time + 0.15, level, pan), Moment(time + lasts - 0.15, level, pan)]
        time, loud = time + lasts, not loud
    if max(knot.level for knot in knots) == 0:
        knots[-2:] = [Moment(time - 1.4, 1.0, pan), Moment(time - 0.15, 1.0, pan)]
    return (*knots, Moment(end + 0.05, 0.0, pan))
