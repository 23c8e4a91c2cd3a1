"""A training clip out of a longer sound (specification 10.1). Axes: `c` channels, `n` samples."""

from dataclasses import dataclass
from math import ceil, floor

import torch
from torch import Tensor
from torch.nn.functional import pad


@dataclass(frozen=True)
class Crop:
    """A piece of a sound and where it lay."""

    audio: Tensor  # `c n`, zeros behind the end
    mask: Tensor  # `n`, 1 where there is sound
    share: tuple[float, float]  # of the whole, from and to; ends beyond 1 where it was padded
    start_seconds: int
    total_seconds: int


def pad_crop(audio: Tensor, samples: int, offset: int = 0) -> Tensor:
    """`samples` of `c n` from `offset` on, zeros behind the end."""
    piece = audio[:, offset : offset + samples]
    return pad(piece, (0, samples - piece.shape[-1]))


def crop(audio: Tensor, samples: int, *, sample_rate: float, offset: int = 0) -> Crop:
    """As `pad_crop`, with what there is to know about the piece.

    Args:
        audio: `c n`.
        samples: of the piece.
        sample_rate: Hz.
        offset: first sample.
    """
    length = audio.shape[-1]
    total = max(length, samples)
    mask = (torch.arange(samples) < length - offset).to(audio.dtype)
    return Crop(
        pad_crop(audio, samples, offset),
        mask,
        (offset / total, (offset + samples) / total),
        floor(offset / sample_rate),
        ceil(length / sample_rate),
    )


def target_starts(length: int, sample_rate: int, samples: int) -> list[int]:
    """Seconds at which targets begin in a sound of `length` samples: every ten of them.

    The release's rule: the window of `samples` lies within the sound, and of a sound beyond 20
    seconds no end shorter than 15 seconds begins one.
    """
    total = length / sample_rate
    return [
        begin
        for begin in range(0, ceil(total), 10)
        if begin * sample_rate + samples <= length and (total <= 20 or total - begin >= 15)
    ] or [0]
