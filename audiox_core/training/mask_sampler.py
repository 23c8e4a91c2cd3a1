"""Random masks of the paper's masked training (arXiv 2503.10522, section 3.3).

Each modality is masked independently, so that the model learns to use what is left of the others:
patches of pictures, tokens of text, spans of audio, whole modalities. What a mask means is defined
in `conditioners/masking.py`.

Axes: `b` clips, `s` tokens, `gy gx` rows and columns of picture patches.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..conditioners.masking import random_spans


@dataclass(frozen=True)
class MaskConfig:
    """How much is masked, and how often: shares of an input, probabilities for a clip."""

    patches: float = 0.6  # share of picture patches, the same ones in all frames of a clip
    text: float = 0.3  # share of text tokens
    sound: tuple[float, float] = (0.25, 0.75)  # share of an audio prompt, in one piece
    masked: float = 0.5  # probability that a part of a modality is masked
    absent: float = 0.2  # probability that a modality is absent
    unconditional: float = 0.1  # probability that all tokens of a clip are zero, for guidance


@dataclass(frozen=True)
class Masks:
    """What is hidden from the model in a batch; True is hidden."""

    patches: Tensor  # `b gy gx` bool
    text: Tensor  # `b s` bool
    sound: list[tuple[float, float] | None]  # of each clip, shares of its length
    absent: dict[str, Tensor]  # "video", "text", "audio" -> `b` bool
    unconditional: Tensor  # `b` bool


def draw_masks(
    config: MaskConfig,
    clips: int,
    *,
    patches_per_side: int,
    tokens: int,
    generator: torch.Generator,
) -> Masks:
    """Masks of a batch.

    Args:
        config: shares and chances.
        clips: of the batch.
        patches_per_side: of a picture.
        tokens: of a text.
        generator: of all random numbers.
    """

    def drawn(share: float) -> Tensor:
        return torch.rand(clips, generator=generator) < share

    count = patches_per_side**2
    orders = [torch.randperm(count, generator=generator) for _ in range(clips)]
    patches = torch.stack([hidden_patches(o, config.patches, patches_per_side) for o in orders])
    text = hidden_tokens(torch.rand(clips, tokens, generator=generator), config.text)
    spans = random_spans(clips, 1_000, *config.sound, generator=generator)
    masked = {name: drawn(config.masked) for name in ("video", "text", "audio")}
    return Masks(
        patches=patches & masked["video"][:, None, None],
        text=text & masked["text"][:, None],
        sound=[
            (begin / 1_000, end / 1_000) if hidden else None
            for (begin, end), hidden in zip(spans, masked["audio"].tolist(), strict=True)
        ],
        absent={name: drawn(config.absent) for name in ("video", "text", "audio")},
        unconditional=drawn(config.unconditional),
    )


def kept_tokens(uniform: Tensor, share: float) -> Tensor:
    """Tokens that stay when a share is taken out, by ascending random number: indices `b k`.

    Args:
        uniform: a random number for each token, `b s`.
        share: of the tokens that goes.
    """
    return uniform.argsort(dim=1)[:, : int(uniform.shape[1] * (1 - share))]


def hidden_tokens(uniform: Tensor, share: float) -> Tensor:
    """Which tokens are hidden, `b s` bool: all but `kept_tokens`."""
    hidden = torch.ones_like(uniform, dtype=torch.bool)
    return hidden.scatter(1, kept_tokens(uniform, share), value=False)


def hidden_patches(permutation: Tensor, share: float, side: int) -> Tensor:
    """Which patches of a picture are hidden, `gy gx` bool: the first of a permutation."""
    hidden = torch.zeros(side**2, dtype=torch.bool)
    hidden[permutation[: int(side**2 * share)]] = True
    return hidden.view(side, side)
