"""How training draws its masks (arXiv 2503.10522, section 3.3; specification 10.2).

Every modality is masked by itself, so that the model has to make do with what is left of the
others: patches of pictures, tokens, spans of sound, whole modalities. What a mask means is said
in `conditioners/masking.py`. Everything here is a pure function of the random numbers it is given.

Axes: `b` clips, `s` tokens, `gy gx` the grid of picture patches.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..conditioners.masking import random_spans


@dataclass(frozen=True)
class MaskConfig:
    """How much is masked, and how often. Shares of what is there, chances of a clip."""

    patches: float = 0.6  # share of picture patches, the same ones in all frames of a clip
    text: float = 0.3  # share of text tokens
    sound: tuple[float, float] = (0.25, 0.75)  # share of an audio prompt, in one piece
    masked: float = 0.5  # chance that a modality is masked in part
    absent: float = 0.2  # chance that a modality is taken away whole
    unconditional: float = 0.1  # chance that all tokens of a clip are zero, for guidance

    def off(self) -> "MaskConfig":
        """The same drops for guidance and nothing masked: what the paper compares with."""
        return MaskConfig(masked=0.0, absent=0.0, unconditional=self.unconditional)


@dataclass(frozen=True)
class Masks:
    """What one batch does not see or hear; True and 1 are hidden."""

    patches: Tensor  # `b gy gx` bool
    text: Tensor  # `b s` bool
    sound: list[tuple[float, float] | None]  # of each clip, shares of its length
    absent: dict[str, Tensor]  # "video", "text", "audio" -> `b` bool
    unconditional: Tensor  # `b` bool


def draw_masks(
    config: MaskConfig, clips: int, *, grid: int, tokens: int, generator: torch.Generator
) -> Masks:
    """Masks of a batch.

    Args:
        config: shares and chances.
        clips: of the batch.
        grid: picture patches a side.
        tokens: of a text.
        generator: the only source of chance.
    """

    def chance(share: float) -> Tensor:
        return torch.rand(clips, generator=generator) < share

    permutations = torch.stack([torch.randperm(grid**2, generator=generator) for _ in range(clips)])
    patches = torch.stack([hidden_patches(p, config.patches, grid) for p in permutations])
    text = hidden_tokens(torch.rand(clips, tokens, generator=generator), config.text)
    spans = random_spans(clips, 1_000, *config.sound, generator=generator)
    masked = {name: chance(config.masked) for name in ("video", "text", "audio")}
    return Masks(
        patches=patches & masked["video"][:, None, None],
        text=text & masked["text"][:, None],
        sound=[
            (begin / 1_000, end / 1_000) if hidden else None
            for (begin, end), hidden in zip(spans, masked["audio"].tolist(), strict=True)
        ],
        absent={name: chance(config.absent) for name in ("video", "text", "audio")},
        unconditional=chance(config.unconditional),
    )


def kept_tokens(uniform: Tensor, share: float) -> Tensor:
    """Which tokens stay when a share is taken out, by ascending chance: indices `b k`.

    Args:
        uniform: a random number a token, `b s`.
        share: of the tokens that goes.
    """
    return uniform.argsort(dim=1)[:, : int(uniform.shape[1] * (1 - share))]


def hidden_tokens(uniform: Tensor, share: float) -> Tensor:
    """Which tokens are hidden, `b s` bool: all but `kept_tokens`."""
    hidden = torch.ones_like(uniform, dtype=torch.bool)
    return hidden.scatter(1, kept_tokens(uniform, share), value=False)


def hidden_patches(permutation: Tensor, share: float, grid: int) -> Tensor:
    """Which patches of a picture are hidden, `gy gx` bool: the first of a permutation."""
    hidden = torch.zeros(grid**2, dtype=torch.bool)
    hidden[permutation[: int(grid**2 * share)]] = True
    return hidden.view(grid, grid)
