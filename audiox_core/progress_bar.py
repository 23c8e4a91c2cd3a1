"""Progress on stderr: a bar on a terminal, elsewhere one line for each stage."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import floor
from typing import Any

from tqdm import tqdm

from .progress import OnProgress, Progress

logger = logging.getLogger(__name__)

STAGES = "{desc}: {whole_percent:3d}% |{bar}| {elapsed}{postfix}"
COUNTS = (
    "{desc}: {whole_percent:3d}% |{bar}| {n_fmt}/{total_fmt} {unit}, {elapsed}, {remaining} left"
)
UNKNOWN_COUNTS = "{desc}: {n_fmt} {unit}, {elapsed}"
INTERVAL = 0.1  # seconds between two drawings
ROUNDING = 1e-9  # percent: 0.29 * 100 is a little below 29
SURE = 0.01  # share of the run that a stage must have done before the time left is estimated


class _Bar(tqdm):
    """A bar whose percentage is rounded down, so that 100 % means the end."""

    @property
    def format_dict(self) -> dict[str, Any]:
        """What `bar_format` may name."""
        known = super().format_dict
        done = 100 * known["n"] / known["total"] if known["total"] else 0
        return {**known, "whole_percent": floor(done + ROUNDING)}


@contextmanager
def stage_bar() -> Iterator[OnProgress]:
    """Give a function that shows the progress of a run in stages; the bar disappears at the end.

    A program that logs no notes shows nothing, and one that logs every detail shows lines.
    """
    if not (sys.stderr.isatty() and _logs_notes()) or logger.isEnabledFor(logging.DEBUG):
        yield _StageLines().show
        return
    with _Bar(total=1.0, bar_format=STAGES, leave=False) as bar:
        yield _StageBar(bar).show


class _StageLines:
    """A line for each stage, when it begins."""

    def __init__(self) -> None:
        self._shown = ""

    def show(self, progress: Progress) -> None:
        if progress.stage != self._shown:
            self._shown = progress.stage
            logger.info("%s", progress.stage)


class _StageBar:
    """A bar for all stages, with the time that is left."""

    def __init__(self, bar: Any) -> None:
        self._bar, self._shown, self._drawn = bar, "", 0.0
        self._began, self._from = 0.0, 0.0  # of the stage: its time and its share

    def show(self, progress: Progress) -> None:
        now, begins = time.monotonic(), progress.stage != self._shown
        if begins:
            self._shown, self._began, self._from = progress.stage, now, progress.share
        self._bar.n = progress.share
        if begins or now - self._drawn >= INTERVAL:
            left = seconds_left(progress.share, self._from, now - self._began)
            self._bar.set_description_str(progress.stage, refresh=False)
            text = "" if left is None else f"{tqdm.format_interval(left)} left"
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.refresh()
            self._drawn = now


def seconds_left(share: float, begin: float, elapsed: float) -> float | None:
    """The time that is left of a run, at the speed of its present stage.

    Args:
        share: of the run that is done.
        begin: the share at which the stage began.
        elapsed: seconds since then.

    Returns:
        Seconds, or None while the stage has done too little to tell.
    """
    done = share - begin
    return None if done < SURE or elapsed <= 0 else (1 - share) * elapsed / done


def count_bar(what: str, unit: str, total: int | None = None, **options: Any) -> Any:
    """A bar of `tqdm` that counts; not on a terminal, a line says what begins.

    Args:
        what: is done, such as "downloading".
        unit: that is counted.
        total: how many there are, if it is known.
        options: of tqdm.
    """
    if not sys.stderr.isatty():
        logger.info("%s", what)
    shape = COUNTS if total is not None else UNKNOWN_COUNTS
    hidden = None if _logs_notes() else True  # None hides it where there is no terminal
    return _Bar(desc=what, unit=unit, total=total, bar_format=shape, disable=hidden, **options)


def _logs_notes() -> bool:
    return logger.isEnabledFor(logging.INFO)


@contextmanager
def late_count_bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows `done` of `total`; the bar appears with its first call.

    So an error before it stays one line.

    Args:
        what: is done, such as "preparing".
        unit: that is counted.
    """
    bar: Any = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        bar = bar or count_bar(what, unit, total, initial=done)
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
