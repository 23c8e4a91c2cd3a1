"""Prompts that apply to a part of the time: their weights at every latent frame.

The predictions of all prompts are blended by these weights. They add up to 1 at every frame, and
cross over linearly at the borders.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..errors import SettingsError
from ..windows import Plan
from .inputs import TimeRange

_SECONDS, _DASH = r"(\d+(?:\.\d*)?|\.\d+)", r"[-\u2013\u2014]"  # hyphen, en dash, em dash
_LINE = re.compile(rf"\s*{_SECONDS}\s*{_DASH}\s*{_SECONDS}\s*:(.*)", re.DOTALL)
# two times in another form; a number and a word, as in `8-bit`, are none
_OTHER_TIMES = re.compile(
    rf"\s*[\d.:]*\d[\d.:]*\s*s?\s*(?:{_DASH}\s*(?:[\d.:]|$)|to\s*[\d.:]*\d\s*s?\s*:)"
)


def time_weights(
    ranges: Sequence[TimeRange | None], frames: int, frame_seconds: float, loop: bool = False
) -> Tensor:
    """The weight of each prompt at every frame.

    Where ranges overlap they share the time; a prompt without a range has what is left.

    Args:
        ranges: of the prompts; None applies everywhere else.
        frames: of the latent.
        frame_seconds: length of a frame.
        loop: the last frame is followed by the first one.

    Returns:
        `p n`, float32; the sum over the prompts is 1 at every frame.

    Raises:
        SettingsError: no prompt applies at some frames.
    """
    times = (torch.arange(frames, dtype=torch.float32) + 0.5) * frame_seconds
    period = frames * frame_seconds if loop else None
    asked = [
        torch.zeros_like(times)
        if span is None
        else _rises(span, _fades(span, ranges, period), times, period)
        for span in ranges
    ]
    weights = torch.stack(asked)
    total = weights.sum(dim=0)
    others = [index for index, item in enumerate(ranges) if item is None]
    if others:
        weights = weights / total.clamp(min=1)
        weights[others] = (1 - total).clamp(min=0) / len(others)
        return weights
    if not (total > 0).all():
        raise SettingsError(
            f"No prompt applies from {gaps(total > 0, frame_seconds)}: add a prompt without a time "
            "range, or ranges that cover all of the sound."
        )
    return weights / total


def latest_end(ranges: Sequence[TimeRange | None]) -> float:
    """The end of the range that ends last, seconds; 0 where there is no range."""
    return max((span.end for span in ranges if span is not None), default=0.0)


def to_window_end(
    ranges: Sequence[TimeRange | None], plan: Plan, latest: float
) -> list[TimeRange | None]:
    """Extend the ranges that end last to the end of the only window.

    A sound that is shorter than a window gets a whole window. Nobody hears what lies after the
    sound, so the ranges need not cover it.

    Args:
        ranges: of the prompts. Where one is None, it has what is left, and nothing changes.
        plan: of the latent; with several windows or for a loop nothing changes.
        latest: the latest end of all ranges, seconds; see `latest_end`.
    """
    if plan.windows > 1 or plan.loop or None in ranges:
        return list(ranges)
    end = max(latest, plan.frames * plan.frame_seconds)
    return [
        replace(span, end=end) if span is not None and span.end == latest else span
        for span in ranges
    ]


def _fades(
    span: TimeRange, ranges: Sequence[TimeRange | None], period: float | None
) -> tuple[float, float]:
    """The seconds in which a range fades in and out.

    Each is at most the length of the range, so that it reaches its full weight, and of those that
    it meets there, so that they do, too, and the weights of both add up to 1.
    """
    others = [other for other in ranges if other is not None]

    def place(time: float) -> float:  # the end of a loop is its beginning
        return time if period is None or time < period else 0.0

    longest = min(span.fade, span.end - span.start)
    before = [r.end - r.start for r in others if place(r.end) == place(span.start)]
    after = [r.end - r.start for r in others if place(r.start) == place(span.end)]
    return min([longest, *before]), min([longest, *after])


def _rises(
    span: TimeRange, fades: tuple[float, float], times: Tensor, period: float | None
) -> Tensor:
    """The weight that a range asks for at the times of all frames, `n` in 0..1.

    It does not fade at the first and at the last frame of the sound. In a loop of `period` seconds
    it fades at all borders, also across the end.
    """
    if period is not None:
        return _rises_in_a_loop(span, fades, times, period)
    begin = _step(times, span.start) if fades[0] == 0 else (times - span.start) / fades[0] + 0.5
    end = 1 - _step(times, span.end) if fades[1] == 0 else (span.end - times) / fades[1] + 0.5
    if span.start <= times[0]:
        begin = torch.ones_like(times)
    if span.end >= times[-1]:
        end = torch.ones_like(times)
    return begin.clamp(0, 1) * end.clamp(0, 1)


def _step(times: Tensor, border: float) -> Tensor:
    return (times >= border).float()


def _rises_in_a_loop(
    span: TimeRange, fades: tuple[float, float], times: Tensor, period: float
) -> Tensor:
    (fade_in, fade_out), stop = (max(fade, 1e-6) for fade in fades), min(span.end, period)
    total = torch.zeros_like(times)
    for shifted in (times - period, times, times + period):
        begin = (shifted - span.start) / fade_in + 0.5
        end = (stop - shifted) / fade_out + 0.5
        total += begin.clamp(0, 1) * end.clamp(0, 1)
    return total.clamp(max=1)


def gaps(covered: Tensor, frame_seconds: float) -> str:
    """The times at which nothing applies, for messages: `4.00 to 6.00 s`.

    Args:
        covered: which frames something applies to, `n` bool.
        frame_seconds: length of a frame.
    """
    missing = (~covered).nonzero()[:, 0].tolist()
    first = last = missing[0]
    for frame in missing[1:]:
        if frame > last + 1:
            break
        last = frame
    return f"{first * frame_seconds:.2f} to {(last + 1) * frame_seconds:.2f} s"


def parse_timeline(text: str, fade: float) -> list[tuple[TimeRange | None, str]]:
    """Read lines such as `0-4: rain on a tin roof`; a line without a time applies everywhere else.

    Args:
        text: the lines; empty ones are skipped.
        fade: seconds of the crossfade at each border.

    Returns:
        The time range and the prompt of each line. Without a line for everywhere else, the empty
        prompt applies there.

    Raises:
        SettingsError: there is no line, or one that cannot be read; the message has its number.
    """
    entries: list[tuple[TimeRange | None, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            if _OTHER_TIMES.match(line):
                raise SettingsError(
                    f"Line {number}, {line.strip()[:40]!r}: write the seconds, a colon and the "
                    "prompt, for example 0-4: rain on a tin roof."
                )
            entries.append((None, line.strip()))
            continue
        span = TimeRange(float(match[1]), float(match[2]), fade)
        try:
            entries.append((span.check(), match[3].strip()))
        except SettingsError as error:
            raise SettingsError(f"Line {number}: {error}") from error
    if not entries:
        raise SettingsError("The timeline is empty: write lines such as 0-4: rain on a tin roof.")
    if all(span is not None for span, _ in entries):
        entries.append((None, ""))
    if sum(span is None for span, _ in entries) > 1:
        raise SettingsError(
            "Two lines have no time: only one prompt can apply everywhere else. Write seconds in "
            "front of the others, for example 0-4: rain."
        )
    return entries
