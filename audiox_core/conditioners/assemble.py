"""Join the modalities in the trained order, absent ones as the model learned them.

After AudioX (arXiv 2503.10522), section 3.2.

Axes: `w` windows of ten seconds, `s` tokens of a window, `d` width.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from ..models.maf import MAFBlock
from ..models.synchformer import Synchformer
from .audio import AnyAudioConditioner
from .masking import apply_strength
from .missing_module import MissingModule
from .text import TextConditioner
from .video import VideoConditioner


class Conditioners(nn.Module):
    """One conditioner per modality, and what fuses their tokens.

    `sync` and `maf` are None in variants that have no such part. A text encoder or Synchformer
    whose file was not found is a `MissingModule`, which raises its error where it is used.
    """

    def __init__(
        self,
        text: TextConditioner | MissingModule,
        video: VideoConditioner,
        audio: AnyAudioConditioner,
        sync: Synchformer | MissingModule | None = None,
        maf: MAFBlock | None = None,
    ) -> None:
        super().__init__()
        self.text, self.video, self.audio = text, video, audio
        self.sync, self.maf = sync, maf


@dataclass(frozen=True)
class Conditioning:
    """The condition tokens of both branches of guidance, of equal token count."""

    positive: Tensor  # `1 (w s) d`
    negative: Tensor  # `1 (w s) d`; zero in all tokens where there is no negative prompt
    windows: int
    seconds: float | None = None  # that the video or audio describes; None: it serves any length

    def __repr__(self) -> str:
        return f"Conditioning({tuple(self.positive.shape)}, windows={self.windows})"


def join(video: Tensor, text: Tensor, audio: Tensor) -> Tensor:
    """Concatenate tokens in the order of AudioX v1; each `w s d`, or `1 s d` for all windows."""
    return torch.cat(_same_windows(video, text, audio), dim=1)


def fuse(maf: MAFBlock, *, video: Tensor, text: Tensor, audio: Tensor) -> Tensor:
    """Adapt the modalities to one another, then concatenate in the order of the MAF line.

    That order differs from v1's: the block was trained with text in its first slot and video in its
    second, and its outputs stay in this order. Each `w s d`, or `1 s d` for all windows.
    """
    return torch.cat(maf(*_same_windows(text, video, audio)), dim=1)


def _same_windows(*parts: Tensor) -> list[Tensor]:
    windows = max(len(tokens) for tokens in parts)
    return [tokens.expand(windows, -1, -1) for tokens in parts]


def assemble_tokens(
    present: Mapping[str, Tensor],
    absent: Mapping[str, Tensor],
    strengths: Mapping[str, float],
    *,
    negative: Tensor | None = None,
    maf: MAFBlock | None = None,
    seconds: float | None = None,
) -> Conditioning:
    """Join the modalities that are present with the learned tokens of those that are absent.

    Args:
        present: those of "text", "video" and "audio" that are not absent -> tokens `w s d`
            (`1 s d` serves all windows).
        absent: all three -> the tokens that the model learned for absence, `1 s d`.
        strengths: all three -> 0 (absent) to 1 (present).
        negative: tokens of a negative prompt, `1 s d`. Without them the negative branch is zero
            in all tokens, which is the unconditional input of training.
        maf: the fusion block of the MAF line; None for AudioX v1.
        seconds: that the tokens describe; None: they serve any length.

    Raises:
        SettingsError: a strength outside of 0..1.
    """
    tokens = {
        name: apply_strength(none, present.get(name, none), strengths[name])
        for name, none in absent.items()
    }
    positive = join(**tokens) if maf is None else fuse(maf, **tokens)
    if negative is None:
        negative_branch = torch.zeros_like(positive)
    elif maf is None:
        zeros = {name: torch.zeros_like(part) for name, part in tokens.items()}
        negative_branch = join(**{**zeros, "text": negative})
    else:
        negative_branch = fuse(maf, **{**absent, "text": negative}).expand_as(positive)
    flat = [rearrange(branch, "w s d -> 1 (w s) d") for branch in (positive, negative_branch)]
    return Conditioning(*flat, windows=len(positive), seconds=seconds)
