"""Ways to do one thing, timed in turns: a busy machine is as busy for all of them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from .memory import peak_bytes

Way = Callable[[], object]


@dataclass(frozen=True)
class Group:
    """One thing and the ways to do it; where there are several, the first is the baseline."""

    name: str
    ways: Mapping[str, Way]
    clock: Callable[[], float] = time.perf_counter  # seconds


@dataclass(frozen=True)
class Line:
    """What was measured of one way."""

    group: str
    way: str
    baseline: str | None  # the way that the ratios are made with
    ratio: float | None  # of time: the median of the rounds' ratios
    memory_ratio: float | None
    seconds: tuple[float, ...]  # of each round
    peak: int  # bytes, above what was there before

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "case": self.group,
            "way": self.way,
            "baseline": self.baseline,
            "ratio": self.ratio and round(self.ratio, 4),
            "memory_ratio": self.memory_ratio and round(self.memory_ratio, 4),
            "median_seconds": median(self.seconds),
            "fastest_seconds": min(self.seconds),
            "slowest_seconds": max(self.seconds),
            "rounds": len(self.seconds),
            "peak_bytes": self.peak,
        }


@torch.no_grad()
def measure(
    group: Group, *, rounds: int, budget: float, device: torch.device | str = "cpu"
) -> list[Line]:
    """Run all ways once for their memory, then in rounds for their time.

    Args:
        group: what is measured.
        rounds: at most.
        budget: seconds after which no further round begins; the first one always runs.
        device: where the ways compute.
    """
    peaks = {name: peak_bytes(way, device) for name, way in group.ways.items()}
    times: dict[str, list[float]] = {name: [] for name in group.ways}
    began = time.perf_counter()
    for number in range(rounds):
        if number and time.perf_counter() - began > budget:
            break
        # forwards and backwards in turns: what comes after a large way is slower
        for name in list(group.ways)[:: -1 if number % 2 else 1]:
            times[name].append(_seconds(group, name, device))
    baseline = next(iter(group.ways))
    return [
        _line(group.name, name, baseline if len(times) > 1 else None, times=times, peaks=peaks)
        for name in group.ways
    ]


def _line(
    group: str,
    name: str,
    baseline: str | None,
    *,
    times: Mapping[str, list[float]],
    peaks: Mapping[str, int],
) -> Line:
    ratio = memory = None
    if baseline not in (None, name):
        ratio = median(a / b for a, b in zip(times[name], times[baseline], strict=True))
        memory = peaks[name] / peaks[baseline] if peaks[baseline] else None
    return Line(
        group,
        name,
        baseline=baseline if baseline != name else None,
        ratio=ratio,
        memory_ratio=memory,
        seconds=tuple(times[name]),
        peak=peaks[name],
    )


def _seconds(group: Group, way: str, device: torch.device | str) -> float:
    _wait(device)
    began = group.clock()
    group.ways[way]()
    _wait(device)
    return group.clock() - began


def _wait(device: torch.device | str) -> None:
    """Until an accelerator has done what it was given."""
    kind = torch.device(device).type
    if kind in ("cuda", "mps"):
        getattr(torch, kind).synchronize()
