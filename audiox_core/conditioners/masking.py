"""What "masked" means.

The model was trained with its inputs masked across modalities, and knows three ways to miss
something:

- a whole modality is **absent**: its tokens are the ones that the model learned for absence
  (`replace_absent`); an input of zeros throughout counts as absent, as in training;
- part of a modality is **hidden** in time: its frames are black, its samples are silent, before
  anything is encoded (`hide_frames`, `hide_samples`);
- a modality is **weak**: its tokens lie between absence and presence (`apply_strength`).

The unconditional branch of guidance is none of these: it is zeros in all tokens (`assemble.py`).
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import SettingsError

Span = tuple[float, float]  # seconds: from, to

_SPAN = re.compile(r"(\d+(?:\.\d*)?|\.\d+)-(\d+(?:\.\d*)?|\.\d+)")


def is_absent(inputs: Tensor) -> Tensor:
    """Items of `b ...` that are zero throughout, `b` bool."""
    return (inputs == 0).flatten(1).all(dim=1)


def replace_absent(tokens: Tensor, absent_tokens: Tensor, absent: Tensor) -> Tensor:
    """Give absent items the tokens learned for absence.

    Args:
        tokens: `b s d`.
        absent_tokens: `1 s d`.
        absent: `b` bool.
    """
    return torch.where(absent.view(-1, 1, 1), absent_tokens.to(tokens), tokens)


def apply_strength(absent_tokens: Tensor, tokens: Tensor, strength: float) -> Tensor:
    """Between absence and presence, linear; 0 and 1 are the two themselves, bit for bit.

    Args:
        absent_tokens: `1 s d`.
        tokens: `b s d`.
        strength: 0..1.
    """
    if not 0 <= strength <= 1:
        raise SettingsError(f"A strength of {strength} was given: it goes from 0 to 1.")
    if strength == 1:
        return tokens
    absent_tokens = absent_tokens.expand_as(tokens)
    return absent_tokens if strength == 0 else torch.lerp(absent_tokens, tokens, strength)


def hidden_frames(count: int, fps: float, spans: tuple[Span, ...]) -> Tensor:
    """Which of `count` frames have their time (index / fps) in a span, `f` bool."""
    times = torch.arange(count) / fps
    inside = [(times >= begin) & (times < end) for begin, end in spans]
    return torch.stack(inside).any(dim=0) if inside else torch.zeros(count, dtype=torch.bool)


def hide_frames(frames: Tensor, fps: float, spans: tuple[Span, ...]) -> Tensor:
    """Blacken the hidden frames of `f 3 h w`."""
    hidden = hidden_frames(len(frames), fps, spans)
    return frames.masked_fill(hidden.view(-1, 1, 1, 1).to(frames.device), 0)


def hide_patches(frames: Tensor, hidden: Tensor) -> Tensor:
    """Blacken patches of pictures, the same ones in every frame.

    Args:
        frames: `b f 3 h w`.
        hidden: `b gy gx` bool, over the whole picture.
    """
    height, width = frames.shape[-2:]
    rows, columns = height // hidden.shape[1], width // hidden.shape[2]
    pixels = hidden.repeat_interleave(rows, 1).repeat_interleave(columns, 2)
    return frames.masked_fill(pixels[:, None, None].to(frames.device), 0)


def hide_tokens(tokens: Tensor, hidden: Tensor) -> Tensor:
    """Zero the hidden tokens of `b s d`; hidden `b s` bool."""
    return tokens.masked_fill(hidden[..., None].to(tokens.device), 0)


def hide_samples(waveform: Tensor, sample_rate: int, spans: Sequence[Span]) -> Tensor:
    """Silence the samples of `c n` that lie in a span."""
    waveform, length = waveform.clone(), waveform.shape[-1] / sample_rate
    for begin, end in spans:
        first, last = (round(min(t, length) * sample_rate) for t in (begin, end))
        waveform[..., first:last] = 0
    return waveform


def random_spans(
    items: int, length: int, low: float, high: float, *, generator: torch.Generator
) -> list[tuple[int, int]]:
    """One span an item, of a random share low..high of `length`, somewhere in it; from and to.

    The mask that training put on audio prompts, and that the reference also draws at inference.
    """
    shares = torch.rand(items, generator=generator) * (high - low) + low
    spans = []
    for count in (shares * length).int().tolist():  # in float32, as it was trained
        begin = torch.randint(0, length - count + 1, (1,), generator=generator).item()
        spans.append((begin, begin + count))
    return spans


def parse_spans(text: str) -> tuple[Span, ...]:
    """`0-2, 5.5-8` -> spans in seconds."""
    return tuple(_span(part) for part in _parts(text))


def parse_hidden(text: str) -> dict[str, tuple[Span, ...]]:
    """`video:0-2,5.5-8,audio:5-8` -> the hidden spans of each modality, in seconds.

    A span without a name belongs to the modality named before it.
    """
    hidden: dict[str, tuple[Span, ...]] = {}
    modality = ""
    for part in _parts(text):
        name, colon, span = part.rpartition(":")
        modality = name if colon else modality
        if modality not in {"video", "audio"}:
            raise SettingsError(
                f"{part!r} does not say what to hide: write video or audio and seconds, "
                "such as video:0-2,5.5-8,audio:5-8."
            )
        hidden[modality] = (*hidden.get(modality, ()), _span(span))
    return hidden


def _parts(text: str) -> list[str]:
    parts = [part for part in text.replace(" ", "").split(",") if part]
    if not parts:
        raise SettingsError(f"{text!r} names no span of time: write seconds from-to, such as 0-2.")
    return parts


def _span(text: str) -> Span:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise SettingsError(
            f"{text!r} is no span of time: write seconds from-to, such as 0-2,5.5-8."
        )
    begin, end = float(match[1]), float(match[2])
    if end <= begin:
        raise SettingsError(f"{text!r} ends before it begins: write the earlier time first.")
    return begin, end
