"""What "masked" means (arXiv 2503.10522, section 3.3).

The model was trained with its inputs masked across modalities, in three ways:

- a whole modality is **absent**: its tokens are the ones that the model learned for absence
  (`replace_absent`); an input of zeros counts as absent, as in training;
- part of a modality is **hidden** in time: its frames are black, its samples are silent, before
  anything is encoded (`hide_frames`, `hide_samples`);
- a modality is **weak**: its tokens lie between absence and presence (`apply_strength`).

The unconditional branch of guidance is none of these: it is zeros in all tokens (`assemble.py`).
"""

import re
from collections.abc import Sequence
from math import inf
from numbers import Real

import torch
from torch import Tensor

from ..errors import SettingsError, check_number

Span = tuple[float, float]  # seconds: from, to
MAX_SPANS = 1_000

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


def is_absent(inputs: Tensor) -> Tensor:
    """Which items of a batch `b ...` are zero everywhere, `b` bool."""
    return (inputs == 0).flatten(1).all(dim=1)


def replace_absent(tokens: Tensor, absent_tokens: Tensor, absent: Tensor) -> Tensor:
    """Give absent items the tokens that the model learned for absence.

    Args:
        tokens: `b s d`.
        absent_tokens: `1 s d`.
        absent: which items are absent, `b` bool.

    Returns:
        `b s d`.
    """
    return torch.where(absent.view(-1, 1, 1), absent_tokens.to(tokens), tokens)


def apply_strength(absent_tokens: Tensor, tokens: Tensor, strength: float) -> Tensor:
    """Interpolate linearly between absence and presence; 0 and 1 are exactly the two.

    Args:
        absent_tokens: `1 s d`.
        tokens: `b s d`.
        strength: 0 (absent) to 1 (present).

    Returns:
        `b s d`.

    Raises:
        SettingsError: a strength outside of 0..1.
    """
    check_number("The strength", strength, 0, 1)
    if strength == 1:
        return tokens
    absent_tokens = absent_tokens.expand_as(tokens)
    return absent_tokens if strength == 0 else torch.lerp(absent_tokens, tokens, strength)


def hidden_frames(count: int, fps: float, spans: tuple[Span, ...]) -> Tensor:
    """Which frames begin within a span.

    Args:
        count: number of frames.
        fps: frames per second; frame k begins at `k / fps`.
        spans: seconds; the start belongs to a span, the end does not.

    Returns:
        `f` bool.
    """
    times = torch.arange(count, dtype=torch.float32) / fps
    inside = [(times >= begin) & (times < end) for begin, end in spans]
    return torch.stack(inside).any(dim=0) if inside else torch.zeros(count, dtype=torch.bool)


def hide_frames(frames: Tensor, fps: float, spans: tuple[Span, ...]) -> Tensor:
    """Blacken the frames `f 3 h w` that begin within a span of seconds."""
    hidden = hidden_frames(len(frames), fps, spans)
    return frames.masked_fill(hidden.view(-1, 1, 1, 1).to(frames.device), 0)


def hide_patches(frames: Tensor, hidden: Tensor) -> Tensor:
    """Blacken patches of the picture, the same ones in every frame of a clip.

    Args:
        frames: `b f 3 h w`.
        hidden: which patches, `b rows columns` bool, over the whole picture.

    Returns:
        `b f 3 h w`.
    """
    height, width = frames.shape[-2:]
    rows, columns = height // hidden.shape[1], width // hidden.shape[2]
    pixels = hidden.repeat_interleave(rows, 1).repeat_interleave(columns, 2)
    return frames.masked_fill(pixels[:, None, None].to(frames.device), 0)


def hide_tokens(tokens: Tensor, hidden: Tensor) -> Tensor:
    """Set hidden tokens to zero.

    Args:
        tokens: `b s d`.
        hidden: `b s` bool.

    Returns:
        `b s d`.
    """
    return tokens.masked_fill(hidden[..., None].to(tokens.device), 0)


def hide_samples(waveform: Tensor, sample_rate: int, spans: Sequence[Span]) -> Tensor:
    """Silence the samples that lie in a span.

    Args:
        waveform: `c n`; it is not changed.
        sample_rate: Hz.
        spans: seconds.

    Returns:
        `c n`.
    """
    waveform, length = waveform.clone(), waveform.shape[-1] / sample_rate
    for begin, end in spans:
        first, last = (round(min(t, length) * sample_rate) for t in (begin, end))
        waveform[..., first:last] = 0
    return waveform


def random_spans(
    items: int, length: int, low: float, high: float, *, generator: torch.Generator
) -> list[tuple[int, int]]:
    """Draw one span per item: a random share of the length at a random place.

    Training masks audio prompts this way; so does the original implementation at inference.

    Args:
        items: number of spans.
        length: of each item.
        low, high: smallest and largest share of the length, 0..1.
        generator: source of the random numbers.

    Returns:
        The start and the end (exclusive) of each span.
    """
    shares = torch.rand(items, generator=generator, dtype=torch.float32) * (high - low) + low
    spans = []
    for count in (shares * length).int().tolist():  # in float32, as it was trained
        begin = torch.randint(0, length - count + 1, (1,), generator=generator).item()
        spans.append((begin, begin + count))
    return spans


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
