"""The modalities joined in trained order, absent ones as the model learned.

Axes: `w` windows of ten seconds, `s` tokens of a window, `d` width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from ..models.maf import MAFBlock
from ..models.synchformer import Synchformer
from .audio import AnyAudioConditioner
from .masking import apply_strength
from .missing import MissingModule
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
    """What guidance needs: both branches `1 (w s) d`, of equal token count."""

    positive: Tensor
    negative: Tensor
    windows: int


def join(video: Tensor, text: Tensor, audio: Tensor) -> Tensor:
    """Concatenate tokens in the order of AudioX v1; each `w s d`, or `1 s d` for all windows."""
    return torch.cat(_same_windows(video, text, audio), dim=1)


def fuse(maf: MAFBlock, *, video: Tensor, text: Tensor, audio: Tensor) -> Tensor:
    """Adapt the modalities to one another, then concatenate in the order of the MAF line.

    Not that of v1: the block was trained with text in its first slot, video in its second, and
    its outputs stay in this order. Each `w s d`, or `1 s d` for all windows.
    """
    return torch.cat(maf(*_same_windows(text, video, audio)), dim=1)


def _same_windows(*parts: Tensor) -> list[Tensor]:
    windows = max(len(tokens) for tokens in parts)
    return [tokens.expand(windows, -1, -1) for tokens in parts]


def assemble(
    conditioners: Conditioners, *,
    text: Tensor | None = None, video: Tensor | None = None, audio: Tensor | None = None,
    negative: Tensor | None = None,
    empty_text: Tensor | None = None, absent_audio: Callable[[], Tensor] | None = None,
    text_strength: float = 1.0, video_strength: float = 1.0, audio_strength: float = 1.0,
) -> Conditioning:  # fmt: skip
    """Join what is there with what the model learned for what is not.

    Args:
        conditioners: of a checkpoint.
        text: tokens of the prompt, `1 s d`; absent is the empty prompt.
        video, audio: features, `w s d`.
        negative: tokens of a negative prompt, `1 s d`; without it the negative branch is zero in
            all tokens, which is the model's trained unconditional input.
        empty_text: tokens of the empty prompt, `1 s d`; None encodes it where it is needed.
        absent_audio: makes the tokens of no audio prompt, `1 s d`, where they are needed; None
            asks the conditioner, which for some variants needs a VAE of its own.
        text_strength, video_strength, audio_strength: 0 is absent, 1 is present.
    """
    if empty_text is None:
        whole = text is not None and text_strength == 1
        empty_text = text if whole else conditioners.text.encode([""])
    if audio is not None and audio_strength == 1 and negative is None:
        no_audio = audio[:1]  # not needed, and it may be dear to make
    else:
        no_audio = (absent_audio or conditioners.audio.absent)()
    parts = {
        "video": (conditioners.video.empty_visual_feat, video, video_strength),
        "text": (empty_text, text, text_strength),
        "audio": (no_audio, audio, audio_strength),
    }
    maf, device = conditioners.maf, empty_text.device
    if maf is not None:
        device = maf.unified_experts.device
    absent = {name: nothing.to(device) for name, (nothing, _, _) in parts.items()}
    tokens = {
        name: apply_strength(
            absent[name], absent[name] if given is None else given.to(device), strength
        )
        for name, (_, given, strength) in parts.items()
    }
    positive = join(**tokens) if maf is None else fuse(maf, **tokens)
    opposed = torch.zeros_like(positive)
    if negative is not None:
        negative = negative.to(device)
        if maf is None:
            nothing = {name: torch.zeros_like(part) for name, part in tokens.items()}
            opposed = join(**{**nothing, "text": negative})
        else:
            opposed = fuse(maf, **{**absent, "text": negative}).expand_as(positive)
    flat = [rearrange(branch, "w s d -> 1 (w s) d") for branch in (positive, opposed)]
    return Conditioning(*flat, windows=len(positive))
