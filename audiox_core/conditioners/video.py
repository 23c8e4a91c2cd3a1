"""Video or a still image -> 128 tokens: CLIP on every frame, then a transformer over time.

Parameter names follow the released checkpoint. Axes: `b` clips, `f` frames, `q` tokens of a
frame, `d` width, `h w` pixels.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..config import VideoConfig
from ..models.temporal import TemporalTransformer
from .masking import Span, hidden_frames, hide_frames, is_absent, replace_absent

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class VideoConditioner(nn.Module):
    """Frames -> tokens; a clip that is black throughout counts as absent."""

    def __init__(self, config: VideoConfig, tokens_per_frame: int, encoder: nn.Module) -> None:
        super().__init__()
        width = config.clip.width
        self.config = config
        self.empty_visual_feat = nn.Parameter(torch.empty(1, config.tokens, width))
        self.Temp_pos_embedding = nn.Parameter(torch.empty(1, config.frames, width))
        self.visual_encoder_model = encoder
        self.Temp_transformer = TemporalTransformer(width, config.temporal)
        self.proj = nn.Linear(config.frames * tokens_per_frame, config.tokens)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames `b f 3 h w` in 0..255 -> `b tokens d`."""
        hidden = torch.stack([self.look(clip) for clip in frames])
        return replace_absent(self.follow(hidden), self.empty_visual_feat, is_absent(frames))

    def look(self, frames: Tensor) -> Tensor:
        """Frames `f 3 h w` in 0..255 -> CLIP's last hidden states `f q d`, before its last norm."""
        pixels = clip_pixels(frames).to(self.proj.weight)
        return self.visual_encoder_model(pixels).last_hidden_state

    def follow(self, hidden: Tensor) -> Tensor:
        """Hidden states `b f q d` -> `b tokens d`."""
        batch, _, q, _ = hidden.shape
        hidden = rearrange(hidden, "b f q d -> (b q) f d") + self.Temp_pos_embedding
        hidden = self.Temp_transformer(hidden)
        hidden = rearrange(hidden, "(b q) f d -> b f q d", q=q)
        # A flat reading of memory, not a transpose: a row of the projection mixes about three
        # neighbouring tokens with all their channels. The model was trained so.
        rows = hidden.reshape(batch, -1, self.proj.in_features)
        return self.proj(rows).reshape(batch, self.config.tokens, -1)


def clip_pixels(frames: Tensor) -> Tensor:
    """Frames `f 3 h w` in 0..255 as CLIP wants them: scaled to 0..1 once, then normalised."""
    mean, std = (torch.tensor(v, device=frames.device).view(3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    return (frames.float() / 255 - mean) / std


def stretch(image: Tensor, size: int) -> Tensor:
    """An image `3 h w` -> `3 size size` float32, aspect not kept, as the model was trained."""
    return interpolate(image[None].float(), (size, size), mode="bilinear", antialias=True)[0]


def encode_video(
    conditioner: VideoConditioner, frames: Tensor, hide: tuple[Span, ...] = ()
) -> Tensor:
    """Frames at the config's rate -> features `1 tokens d`.

    Args:
        conditioner: of a checkpoint.
        frames: `f 3 224 224` in 0..255, as many as the config says (50).
        hide: seconds that the model shall not see.
    """
    frames = hide_frames(frames, conditioner.config.fps, hide)
    return conditioner(frames[None].to(conditioner.proj.weight.device))


def encode_image(
    conditioner: VideoConditioner, image: Tensor, hide: tuple[Span, ...] = ()
) -> Tensor:
    """A still image `3 h w` in 0..255 -> features `1 tokens d`: a video in which nothing moves.

    `hide` as in `encode_video`.
    """
    config, device = conditioner.config, conditioner.proj.weight.device
    frame = stretch(image.to(device), config.clip.image)
    hidden = hidden_frames(config.frames, config.fps, hide).to(device)
    shown, black = conditioner.look(torch.stack([frame, torch.zeros_like(frame)]))  # CLIP once
    tokens = conditioner.follow(torch.where(hidden[:, None, None], black, shown)[None])
    absent = is_absent(frame[None]) | hidden.all()
    return replace_absent(tokens, conditioner.empty_visual_feat, absent)
