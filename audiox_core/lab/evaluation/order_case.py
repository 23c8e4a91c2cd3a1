"""Prompts of two counted sounds: is each heard as often as asked, and are they in order?

Axes: `2 n` audio.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

import numpy as np
from numpy.random import Generator, default_rng
from torch import Tensor
from torch.nn.functional import pad

from ...analysis.onsets import onset_times
from ...pipeline.request import Request
from ..effects.captions import describe, join
from ..effects.scenes import FIRST, GAP, GAPS, LAST, LOUDNESS, EffectScene, Part
from ..world import Event
from ..world.motion import VISIBLE
from .classifier import Classifier
from .clips import HELD_OUT, SECONDS
from .figures import Figures, with_baselines
from .models_under_test import ModelsUnderTest

# A single event of these has one onset, which is found beside other sounds: of a heartbeat or a
# drop of water too few bands rise. Claps of thunder are too far apart to be counted in 5 s.
ORDERED = (
    "dog", "bird", "footsteps", "ball", "clock", "bell", "anvil", "drum", "telephone", "explosion",
)  # fmt: skip
MOST = 3  # events of a class
HALF = SECONDS / 2  # s of each class, in renders
FREE_SECONDS = HALF - FIRST - LAST  # in which events begin


@dataclass(frozen=True)
class Order:
    """What a prompt asks for: two different classes, one after the other."""

    labels: tuple[str, str]
    counts: tuple[int, int]  # events of each
    prompt: str

    def scene(self, seed: int) -> EffectScene:
        """A scene that is right, of `SECONDS`."""
        rng = default_rng([seed, 14])
        parts = tuple(
            Part(
                label,
                _events(label, count, half * HALF, rng),
                level_db=float(rng.uniform(*LOUDNESS[0])),
            )
            for half, (label, count) in enumerate(zip(self.labels, self.counts, strict=True))
        )
        return EffectScene(self.prompt, SECONDS, seed, parts)


def order(number: int) -> Order:
    """The order of a number."""
    rng = default_rng([number, 13])
    first, second = (ORDERED[k] for k in rng.choice(len(ORDERED), 2, replace=False))
    labels = (first, second)
    counts = (_count(first, rng), _count(second, rng))
    phrases = [
        describe(label, count, 0, True, rng) for label, count in zip(labels, counts, strict=True)
    ]
    return Order(labels, counts, join(phrases, rng))


def _count(label: str, rng: Generator) -> int:
    """From one to as many as fit."""
    return int(rng.integers(1, min(MOST, 1 + int(FREE_SECONDS / GAPS.get(label, GAP))) + 1))


def _events(label: str, count: int, start: float, rng: Generator) -> tuple[Event, ...]:
    gap = GAPS.get(label, GAP)
    free = np.sort(rng.uniform(0, FREE_SECONDS - (count - 1) * gap, count))
    times = (start + FIRST + free + gap * np.arange(count)).tolist()
    return tuple(Event(time, (time, time + VISIBLE), 0.0) for time in times)


@dataclass(frozen=True)
class Judgement:
    """What is right in a sound."""

    count: bool  # as many onsets as asked
    order: bool  # the classes, where the sound is split at the largest gap between its onsets
    right: bool  # the count, and the classes where the sound is split after the first ones


def judge(sound: Tensor, sample_rate: int, asked: Order, classifier: Classifier) -> Judgement:
    """Compare a sound `2 n` with what was asked."""
    onsets = onset_times(sound, sample_rate)
    if len(onsets) < 2:
        return Judgement(count=False, order=False, right=False)
    middles = [round((a + b) / 2 * sample_rate) for a, b in pairwise(onsets)]
    borders = [0, *middles, sound.shape[-1]]  # event k lies between number k and k + 1

    def heard(first: int, end: int) -> str:
        """The class of some events."""
        part = sound[:, borders[first] : borders[end]]
        # as much silence around the events as in the clips that the classifier knows
        return classifier.label(pad(part, (0, sound.shape[-1] - part.shape[-1])), sample_rate)

    def classes_right(first: int) -> bool:
        """Whether the first ones have the first class, and the others the second class."""
        return asked.labels == (heard(0, first), heard(first, len(onsets)))

    gaps = [after - before for before, after in pairwise(onsets)]
    count, first = len(onsets) == sum(asked.counts), asked.counts[0]
    return Judgement(
        count=count,
        order=classes_right(1 + gaps.index(max(gaps))),
        # one event too many of a class may not be heard among the others: both at the border are
        # looked at alone
        right=count
        and classes_right(first)
        and asked.labels == (heard(first - 1, first), heard(first, first + 1)),
    )


def order_case(models: ModelsUnderTest, classifier: Classifier) -> Figures:
    """Prompts such as "two dog barks, then a drum beat".

    `_of_renders` are the same figures of scenes that are right: how good the measurement is.
    """
    asked = [order(number) for number in range(models.sizes.order)]
    few = asked[: models.sizes.untrained]
    sounds, baseline = (
        [
            models.generate(Request(prompt=item.prompt, seconds=SECONDS, seed=seed), pipeline)
            for seed, item in enumerate(items)
        ]
        for pipeline, items in ((models.trained, asked), (models.untrained, few))
    )
    renders = rendered(asked, models.rate)
    figures: Figures = {"order.prompts": len(asked)}
    for kind, found, targets in (
        *with_baselines(sounds, baseline, asked),
        ("_of_renders", renders, asked),
    ):
        judged = [
            judge(sound, models.rate, item, classifier)
            for sound, item in zip(found, targets, strict=True)
        ]
        figures[f"order.right{kind}"] = fmean(row.right for row in judged)
        figures[f"order.order_right{kind}"] = fmean(row.order for row in judged)
        figures[f"order.count_right{kind}"] = fmean(row.count for row in judged)
    return figures


def rendered(asked: Sequence[Order], sample_rate: int) -> list[Tensor]:
    """Sounds that are right, `2 n` each."""
    return [
        item.scene(HELD_OUT + 6_000 + seed).audio(sample_rate) for seed, item in enumerate(asked)
    ]
