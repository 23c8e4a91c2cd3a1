"""Figures of generated clips beside those of two baselines."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any

Figures = dict[str, Any]


def class_figures(
    name: str, predictions: Sequence[str], baseline: Sequence[str], targets: Sequence[str]
) -> Figures:
    """Accuracy, in all and by class, with both baselines; and which classes are mistaken.

    Args:
        name: of the figures.
        predictions, targets: a class for each clip.
        baseline: predictions of the untrained model, of as many clips as it was asked for.
    """
    figures: Figures = {}
    for kind, found, labels in with_baselines(predictions, baseline, targets):
        figures[f"{name}.accuracy{kind}"] = share_equal(found, labels)
        figures[f"{name}.by_class{kind}"] = {
            label: fmean(f == label for f, w in zip(found, labels, strict=True) if w == label)
            for label in dict.fromkeys(labels)
        }
    wrong = [f"{w} as {h}" for h, w in zip(predictions, targets, strict=True) if h != w]
    return figures | {f"{name}.mistaken": dict(Counter(wrong).most_common())}


def with_baselines(
    found: Sequence[Any], baseline: Sequence[Any], targets: Sequence[Any]
) -> list[tuple[str, Sequence[Any], Sequence[Any]]]:
    """Predictions with their targets, for the model and both baselines.

    Args:
        found: predictions of the model.
        baseline: those of the untrained model, of as many clips as it was asked for.
        targets: one for each prediction.

    Returns:
        For each a suffix for the names of figures, predictions and targets.
    """
    return [
        ("", found, targets),
        ("_shuffled", found, [*targets[1:], *targets[:1]]),
        ("_untrained", baseline, targets[: len(baseline)]),
    ]


def share_equal(found: Sequence[str], targets: Sequence[str]) -> float:
    """Share of the pairs that are equal."""
    return fmean(a == b for a, b in zip(found, targets, strict=True))
