"""How long a batch takes and how much it writes, from some of its items, which are rendered."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean
from typing import Any

from .jobs import Job
from .results import Result
from .run import Batch, Engine, render_jobs

SAMPLE = 5  # items; the first one is not timed, for it also loads the model


@dataclass(frozen=True)
class Estimate:
    """What the rest of a batch takes, in one process."""

    items: int  # that are still to render
    results: tuple[Result, ...]  # of the sample

    @property
    def done(self) -> list[Result]:
        """The items of the sample that succeeded."""
        return [result for result in self.results if result.status == "done"]

    @property
    def seconds_per_item(self) -> float:
        """Mean time of an item; without the first one, if there are others."""
        return mean(result.elapsed_seconds for result in self.done[1:] or self.done)

    @property
    def bytes_per_item(self) -> float:
        """Mean size of the outputs of an item."""
        return mean(result.bytes for result in self.done)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "items": self.items,
            "sample": len(self.results),
            "sample_failed": len(self.results) - len(self.done),
            "seconds_per_item": round(self.seconds_per_item, 3),
            "hours": round(self.items * self.seconds_per_item / 3600, 6),
            "gigabytes": round(self.items * self.bytes_per_item / 1e9, 4),
        }


def spread(jobs: Iterator[tuple[Job, str]], count: int) -> tuple[int, list[tuple[Job, str]]]:
    """Count jobs, and keep `count` or more of them that are evenly spread, in one pass.

    Returns:
        How many there are, and the first `count` of an even selection.
    """
    kept: list[tuple[Job, str]] = []
    step, total = 1, 0
    for entry in jobs:
        if total % step == 0:
            kept.append(entry)
        if len(kept) == 2 * count:
            kept, step = kept[::2], 2 * step
        total += 1
    places = [k * len(kept) // count for k in range(count)] if len(kept) > count else None
    return total, kept if places is None else [kept[k] for k in places]


def estimate(batch: Batch, engine: Engine) -> Estimate:
    """Render a sample of what is to do, whose outputs count as done, and measure it."""
    jobs = ((t.job, t.key) for t in batch.turns() if t.action == "render" and t.job is not None)
    total, sample = spread(jobs, SAMPLE)
    results: list[Result] = []

    def finish(result: Result) -> None:
        batch.ledger.finish(result.record())
        results.append(result)

    render_jobs(batch, iter(sample), engine, finish)
    return Estimate(total - len(results), tuple(results))
