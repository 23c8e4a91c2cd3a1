"""The progress of a run: its stage, and which share of the whole run is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise


@dataclass(frozen=True)
class Progress:
    """Where a run is."""

    stage: str  # what is being done, such as "sampling"
    done: float  # share of the stage, 0..1
    share: float  # of the whole run, 0..1; it never falls, and is 1 only at the end


OnProgress = Callable[[Progress], None]


def ignore(_progress: Progress) -> None:
    """Show nothing."""


class Stages:
    """The stages of a run, which follow one another.

    Args:
        seconds: the estimated time of each stage by name, above 0; only their ratios count.
        on_progress: called with each report.
    """

    def __init__(self, seconds: Mapping[str, float], on_progress: OnProgress) -> None:
        ends = [*accumulate(seconds.values())]
        shares = [0.0, *(end / ends[-1] for end in ends)]
        self._spans = dict(zip(seconds, pairwise(shares), strict=True))
        self._on_progress = on_progress

    def report(self, stage: str, done: float = 0.0) -> None:
        """Report that a share of a stage is done; without a share, that the stage begins."""
        self._on_progress(Progress(stage, done, self._share(stage, done)))

    def nested(self, stage: str) -> OnProgress:
        """What reports the progress of a run that is one stage of this one."""
        return lambda inner: self._on_progress(
            Progress(inner.stage, inner.done, self._share(stage, inner.share))
        )

    def _share(self, stage: str, done: float) -> float:
        begin, end = self._spans[stage]
        return end if done >= 1 else begin + (end - begin) * done
