"""Prompts over time: is each heard in its own half, and is there no step between them?"""

from collections.abc import Sequence
from itertools import permutations
from statistics import fmean

from numpy.random import default_rng
from torch import Tensor

from ...pipeline.request import Request
from .catalogue import Catalogue
from .classifier import Classifier
from .fidelity import energy_steps
from .figures import Figures
from .models_under_test import ModelsUnderTest

HALF = 5.0  # s of each prompt
FADE = 0.5  # s around the border in which both are heard
SHARE = 0.99  # of the steps of energy of a file: a larger one at the border could be heard


def timeline_case(models: ModelsUnderTest, classifier: Classifier) -> Figures:
    """Two prompts, five seconds each: is the class of each heard in its half?

    `alone` is the same half of a sound that has one of the prompts throughout, with the same seed.
    """
    pairs = _pairs(models.sizes.timeline, models.catalogue)
    found, alone, smooth = [], [], []
    for seed, (first, second) in enumerate(pairs):
        texts = [
            models.catalogue.prompt(label, default_rng([seed, k, 12]))
            for k, label in enumerate((first, second))
        ]
        prompts = ((0.0, HALF, texts[0]), (HALF, 2 * HALF, texts[1]))
        request = Request(prompts=prompts, crossfade=FADE, seconds=2 * HALF, seed=seed)
        both = models.generate(request)
        single = [
            models.generate(Request(prompt=text, seconds=2 * HALF, seed=seed)) for text in texts
        ]
        halves = zip(_halves(both, models.rate), (first, second), strict=True)
        found += [classifier.label(half, models.rate) == label for half, label in halves]
        alone += [
            classifier.label(_halves(sound, models.rate)[k], models.rate) == label
            for k, (sound, label) in enumerate(zip(single, (first, second), strict=True))
        ]
        smooth.append(_is_smooth(both, models.rate))
    kept = [heard for heard, reached in zip(found, alone, strict=True) if reached]
    return {
        "timeline.pairs": len(pairs),
        "timeline.class_in_its_half": fmean(found),
        "timeline.class_alone": fmean(alone),
        "timeline.share_of_alone": fmean(found) / max(fmean(alone), 1e-9),
        "timeline.kept_of_those_heard_alone": fmean(kept) if kept else 0.0,
        "timeline.without_a_step_at_the_border": fmean(smooth),
    }


def _pairs(count: int, catalogue: Catalogue) -> list[tuple[str, str]]:
    """Pairs of different classes, all of them before one comes again."""
    every = list(permutations(catalogue.labels, 2))
    order = default_rng(12).permutation(len(every))
    return [every[order[n % len(every)]] for n in range(count)]


def _halves(sound: Tensor, rate: int) -> Sequence[Tensor]:
    """Both halves of `c n` without the crossfade between them."""
    border, fade = round(HALF * rate), round(FADE / 2 * rate)
    return sound[:, : border - fade], sound[:, border + fade :]


def _is_smooth(sound: Tensor, rate: int) -> bool:
    """Whether the energy changes at the border no more than it does elsewhere in the file."""
    steps, seconds = energy_steps(sound, rate)
    at = round(HALF / seconds)
    return steps[at - 1 : at + 1].max().item() <= steps.quantile(SHARE).item()
