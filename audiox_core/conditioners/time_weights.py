"""Prompts that apply to a part of the time: their weights at every latent frame.

The predictions of all prompts are blended by these weights. They add up to 1 at every frame, and
cross over linearly at the borders.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import SettingsError
from .inputs import TimeRange

_LINE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*-\s*(\d+(?:\.\d*)?|\.\d+)\s*:(.*)", re.DOTALL)


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
    asked = [torch.zeros_like(times) if r is None else _rises(r, times, period) for r in ranges]
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


def _rises(span: TimeRange, times: Tensor, period: float | None) -> Tensor:
    """The weight that a range asks for at the times of all frames, `n` in 0..1.

    It does not fade at the first and at the last frame of the sound. In a loop of `period` seconds
    it fades at all borders, also across the end.
    """
    if period is not None:
        return _rises_in_a_loop(span, times, period)
    if span.fade == 0:
        return ((times >= span.start) & (times < span.end)).float()
    begin = (times - span.start) / span.fade + 0.5
    end = (span.end - times) / span.fade + 0.5
    if span.start <= times[0]:
        begin = torch.ones_like(times)
    if span.end >= times[-1]:
        end = torch.ones_like(times)
    return begin.clamp(0, 1) * end.clamp(0, 1)


def _rises_in_a_loop(span: TimeRange, times: Tensor, period: float) -> Tensor:
    fade, stop = max(span.fade, 1e-6), min(span.end, period)
    total = torch.zeros_like(times)
    for shifted in (times - period, times, times + period):
        begin = (shifted - span.start) / fade + 0.5
        end = (stop - shifted) / fade + 0.5
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
            if re.match(r"\s*[\d.]+\s*-", line):
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
