"""Timing, counting and recording. A case that fails becomes a row with its error."""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

Run = Callable[[], object]
DTYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True)
class Row:
    """One measurement, or the error in its place."""

    case: str
    model: str = ""
    precision: str = ""
    way: str = ""
    seconds: float | None = None
    flops: int | None = None
    share: float | None = None  # of the device's limit
    peak_bytes: int | None = None  # all that was allocated, weights included
    extra_bytes: int | None = None  # above what was allocated before
    note: str = ""
    error: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether it is an error, or numbers that are not within their tolerance."""
        return bool(self.error) or not self.data.get("passed", True)

    def to_dict(self) -> dict[str, Any]:
        """For JSON, without empty fields."""
        return {key: value for key, value in asdict(self).items() if value not in (None, "", {})}


@dataclass
class Bench:
    """Where rows are collected and how much time is left."""

    device: torch.device
    toy: bool
    seconds: float  # after which no new measurement begins
    show: Callable[[Row], None]
    began: float = field(default_factory=time.perf_counter)
    rows: list[Row] = field(default_factory=list)
    rates: dict[str, float] = field(default_factory=dict)  # limits of the device, by name
    chosen: tuple[str, ...] = ()  # precisions; empty: all that make sense on the device

    @property
    def cuda(self) -> bool:
        """Whether a GPU is measured."""
        return self.device.type == "cuda"

    @property
    def left(self) -> float:
        """Seconds until the budget is spent."""
        return self.seconds - (time.perf_counter() - self.began)

    @property
    def every_precision(self) -> tuple[str, ...]:
        """The most useful first."""
        return ("float16", "bfloat16", "float32", "tf32") if self.cuda else ("bfloat16", "float32")

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those that are measured."""
        return self.chosen or self.every_precision

    @property
    def half(self) -> str:
        """The precision of cases that are measured in one alone."""
        return self.precisions[0]

    def add(self, row: Row) -> None:
        """Record a row and show it."""
        self.rows.append(row)
        self.show(row)

    @contextmanager
    def guard(self, case: str, model: str = "", dtype: str = "", way: str = "") -> Iterator[None]:
        """Turn an exception into a row."""
        try:
            yield
        except Exception as error:  # one broken case must not hide the others
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            text = f"{type(error).__name__}: {lines[0] if lines else ''}"
            self.add(Row(case, model, dtype, way, error=text[:300]))
            self.free()

    def free(self) -> None:
        """Free what a case held."""
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.cuda:
            torch.cuda.synchronize()

    def time(
        self, names: tuple[str, str, str, str], run: Run, *,
        flops: int | None = None, count: bool = True,
        warm_up: bool = True,
        budget: float = 1.5, note: str = "", data: dict[str, Any] | None = None,
    ) -> Row | None:  # fmt: skip
        """Warm up, measure memory, then time; the median of several.

        Args:
            names: case, model, precision, way.
            run: what is measured.
            flops: of one run where they are known; else they are counted if `count`.
            warm_up: False for a long run whose parts have run before.
            budget: seconds of measuring after the warm-up.
            note, data: kept in the row.
        """
        if self.left < 0:
            return None
        row = None
        with self.guard(*names), precision(names[2]):
            if flops is None and count:
                flops = count_flops(run)
            first = self._once(run) if warm_up else None
            self.wait()
            before = self._memory_begins()
            warm = self._once(run)
            peak, extra = self._memory_ends(before)
            seconds = self._median(run, warm, budget)
            rate = self.rates.get(names[2])
            share = flops / seconds / rate if flops and rate else None
            if first is not None:
                data = (data or {}) | {"first_run_seconds": round(first, 4)}
            row = Row(*names, seconds, flops, share, peak, extra, note, data=data or {})
            self.add(row)
        return row

    def _once(self, run: Run) -> float:
        self.wait()
        began = time.perf_counter()
        run()
        self.wait()
        return time.perf_counter() - began

    def _median(self, run: Run, warm: float, budget: float) -> float:
        """Of short runs several follow one another without waiting, as in a sampling loop."""
        if self.toy or warm > budget:
            return warm
        inner = max(1, min(20, int(0.05 / max(warm, 1e-6))))

        def several() -> None:
            for _ in range(inner):
                run()

        ended, times = time.perf_counter() + budget, []
        while len(times) < 3 or (len(times) < 9 and time.perf_counter() < ended):
            times.append(self._once(several) / inner)
        return median(times)

    def _memory_begins(self) -> int:
        if not self.cuda:
            return 0
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()

    def _memory_ends(self, before: int) -> tuple[int | None, int | None]:
        if not self.cuda:
            return None, None
        peak = torch.cuda.max_memory_allocated()
        return peak, peak - before


def count_flops(run: Run) -> int:
    """Floating-point operations of matrix products, convolutions and attention in one run."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Set TF32: off for "float32", on for "tf32", else torch's defaults (convolutions only)."""
    matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, convolution.allow_tf32
    wanted = {"float32": (False, False), "tf32": (True, True)}.get(name, (False, True))
    matmul.allow_tf32, convolution.allow_tf32 = wanted
    try:
        yield
    finally:
        matmul.allow_tf32, convolution.allow_tf32 = before


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
