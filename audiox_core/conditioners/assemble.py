"""The modalities joined in trained order: video, text, audio. Absent ones as the model learned.

Axes: `w` windows of ten seconds, `s` tokens of a window, `d` width.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from ..errors import SettingsError
from ..models.synchformer import Synchformer
from .audio import AudioConditioner
from .masking import apply_strength
from .text import TextConditioner
from .video import VideoConditioner


class Conditioners(nn.Module):
    """One conditioner a modality; None where it was not loaded."""

    def __init__(
        self,
        text: TextConditioner | None,
        video: VideoConditioner | None,
        audio: AudioConditioner | None,
        sync: Synchformer | None = None,  # the second look at a video, of models that take one
    ) -> None:
        super().__init__()
        self.text, self.video, self.audio, self.sync = text, video, audio, sync


@dataclass(frozen=True)
class Conditioning:
    """What guidance needs: both branches `1 (w s) d`, of equal token count."""

    positive: Tensor
    negative: Tensor
    windows: int


def join(video: Tensor, text: Tensor, audio: Tensor) -> Tensor:
    """Concatenate tokens in trained order; each `w s d`, or `1 s d` where it serves all windows."""
    windows = max(len(tokens) for tokens in (video, text, audio))
    return torch.cat([t.expand(windows, -1, -1) for t in (video, text, audio)], dim=1)


def assemble(
    conditioners: Conditioners, *,
    text: Tensor | None = None, video: Tensor | None = None, audio: Tensor | None = None,
    negative: Tensor | None = None, empty_text: Tensor | None = None,
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
        text_strength, video_strength, audio_strength: 0 is absent, 1 is present.
    """
    if empty_text is None:
        empty_text = text if text is not None and text_strength == 1 else _empty(conditioners.text)
    parts = {
        "video": (conditioners.video.empty_visual_feat, video, video_strength),
        "text": (empty_text, text, text_strength),
        "audio": (conditioners.audio.empty_audio_feat, audio, audio_strength),
    }
    device = empty_text.device
    tokens = {
        name: apply_strength(
            absent.to(device), (absent if present is None else present).to(device), strength
        )
        for name, (absent, present, strength) in parts.items()
    }
    positive = join(**tokens)
    if negative is None:
        opposed = torch.zeros_like(positive)
    else:
        nothing = {name: torch.zeros_like(part) for name, part in tokens.items()}
        opposed = join(**{**nothing, "text": negative.to(device)})
    flat = [rearrange(branch, "w s d -> 1 (w s) d") for branch in (positive, opposed)]
    return Conditioning(*flat, windows=len(positive))


def _empty(conditioner: TextConditioner | None) -> Tensor:
    if conditioner is None:
        raise SettingsError(
            "The tokens of an empty prompt are needed and no text encoder was loaded: give a text "
            "at full strength, or load the model with its text encoder."
        )
    return conditioner.encode([""])
