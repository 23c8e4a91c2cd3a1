"""Prompts and spans of seconds as a user writes them: read and checked.

Nothing here imports PyTorch: the command line refuses a wrong input without waiting for it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from numbers import Real

from ..errors import SettingsError, check_number
from ..limits import MAX_START

MAX_CHARACTERS = 4_096  # beyond this it is a pasted file, not a prompt
MAX_FADE = 10.0  # seconds
MAX_END = float(MAX_START)
Span = tuple[float, float]  # seconds: from, to
MAX_SPANS = 1_000
# captions that training used for clips without a caption of their own
TASK_PROMPTS = {
    "sound effects": "Generate general audio for the video",
    "music": "Generate music for the video",
}

_SPAN = re.compile(r"(\d+(?:\.\d*)?|\.\d+)-(\d+(?:\.\d*)?|\.\d+)")


def check_spans(spans: Sequence[Span]) -> None:
    """Raise SettingsError unless all are pairs of seconds that run forwards from 0 or later."""
    try:
        pairs = [(begin, end) for begin, end in spans]
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"{str(spans)[:60]!r} is not a list of time ranges: use pairs of seconds such as "
            "((0, 2), (5.5, 8))."
        ) from error
    if len(pairs) > MAX_SPANS:
        raise SettingsError(f"There are {len(pairs):,} time ranges: use at most {MAX_SPANS:,}.")
    for begin, end in pairs:
        numbers = isinstance(begin, Real) and isinstance(end, Real)
        if not numbers or not 0 <= begin < end < inf:
            shown = f"{begin:g}-{end:g}" if numbers else f"{begin!r:.20}-{end!r:.20}"
            raise SettingsError(
                f"The time range {shown} is not valid: it must start at 0 or later and end after "
                "its start."
            )


def check_prompt(prompt: str) -> None:
    """Raise SettingsError for a prompt that is no text, or far too long."""
    if not isinstance(prompt, str):
        raise SettingsError(f"The prompt is a {type(prompt).__name__}: use text.")
    if len(prompt) > MAX_CHARACTERS:
        raise SettingsError(
            f"The prompt has {len(prompt):,} characters, but models read at most about 100 words: "
            "describe the sound in a few sentences."
        )


@dataclass(frozen=True)
class TimeRange:
    """Where a prompt applies, in seconds; around its borders it fades in and out."""

    start: float
    end: float
    fade: float = 0.5  # length of the crossfade at each border

    def check(self) -> "TimeRange":
        """Raise SettingsError for a range that no sound has."""
        check_number("The start of a time range", self.start, 0, MAX_END, unit=" s")
        check_number("The end of a time range", self.end, 0, MAX_END, unit=" s")
        check_number("The fade of a time range", self.fade, 0, MAX_FADE, unit=" s")
        if self.start >= self.end:
            raise SettingsError(
                f"The time range {self.start:g}-{self.end:g} s must end after its start."
            )
        return self


def parse_spans(text: str) -> tuple[Span, ...]:
    """Read spans of seconds such as `0-2, 5.5-8`.

    Raises:
        SettingsError: the text is not a list of spans, or a span ends before it starts.
    """
    return tuple(_span(part) for part in _parts(text))


def parse_hidden(text: str) -> dict[str, tuple[Span, ...]]:
    """Read the hidden spans of each modality, such as `video:0-2,5.5-8,audio:5-8`.

    A span without a name belongs to the modality that was named last.

    Returns:
        "video" or "audio" -> spans in seconds.

    Raises:
        SettingsError: as in `parse_spans`, or no modality is named.
    """
    hidden: dict[str, tuple[Span, ...]] = {}
    modality = ""
    for part in _parts(text):
        name, colon, span = part.rpartition(":")
        modality = name if colon else modality
        if modality not in {"video", "audio"}:
            raise SettingsError(
                f"{part!r} does not name an input to hide: use video or audio and seconds, for "
                "example video:0-2,5.5-8,audio:5-8."
            )
        hidden[modality] = (*hidden.get(modality, ()), _span(span))
    return hidden


def _parts(text: str) -> list[str]:
    return [part for part in text.replace(" ", "").split(",") if part] or [text]


def _span(text: str) -> Span:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise SettingsError(
            f"{text!r} is not a time range: use start-end in seconds, for example 0-2,5.5-8."
        )
    span = float(match[1]), float(match[2])
    check_spans([span])
    return span
