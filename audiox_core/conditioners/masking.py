"""What "masked" means (arXiv 2503.10522, section 3.3).

The model was trained with its inputs masked across modalities, in three ways:

- a whole modality is **absent**: its tokens are the ones that the model learned for absence
  (`replace_absent`); an input of zeros counts as absent, as in training;
- part of a modality is **hidden** in time: its frames are black, its samples are silent, before
  anything is encoded (`hide_frames`, `hide_samples`);
- a modality is **weak**: its tokens lie between absence and presence (`apply_strength`).

The unconditional branch of guidance is none of these: it is zeros in all tokens (`assemble.py`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import check_number
from .inputs import Span


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
