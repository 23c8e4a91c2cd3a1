"""Video or a still image -> 128 tokens: CLIP on every frame, then a transformer over time.

Later models look a second time, for what moves when: Synchformer on 25 frames a second, whose
features are added. Parameter names follow the released checkpoints. Axes: `b` clips, `f` frames,
`q` tokens of a frame, `s` sync features of a clip, `d` width, `h w` pixels.
"""

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..config import SyncConfig, VideoConfig
from ..models.synchformer import Synchformer, sync_features
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
        if config.sync is not None:
            self.proj_sync = nn.Linear(config.sync.tokens, config.tokens)
            self.sync_weight = nn.Parameter(torch.empty(()))

    def forward(self, frames: Tensor, sync: Tensor | None = None) -> Tensor:
        """Frames `b f 3 h w` in 0..255, features of `encode_sync` `b s d` -> `b tokens d`.

        Without features where the model reads some, they are zero, as in the reference.
        """
        hidden = torch.stack([self.look(clip) for clip in frames])
        return self.finish(hidden, sync, is_absent(frames))

    def look(self, frames: Tensor) -> Tensor:
        """Frames `f 3 h w` in 0..255 -> CLIP's last hidden states `f q d`, before its last norm."""
        pixels = clip_pixels(frames).to(self.proj.weight)
        return self.visual_encoder_model(pixels).last_hidden_state

    def finish(self, hidden: Tensor, sync: Tensor | None, absent: Tensor) -> Tensor:
        """Hidden states `b f q d`, features `b s d`, which clips are absent `b` -> `b tokens d`.

        Frames alone decide: of an absent clip the features do not count either.
        """
        tokens = self.follow(hidden)
        if self.config.sync is not None:
            tokens = tokens + self.sync_weight * self.time(sync, tokens)
        return replace_absent(tokens, self.empty_visual_feat, absent)

    def follow(self, hidden: Tensor) -> Tensor:
        """Hidden states `b f q d` -> `b tokens d`."""
        batch, _, q, _ = hidden.shape
        hidden = rearrange(hidden, "b f q d -> (b q) f d") + self.Temp_pos_embedding
        hidden = self.Temp_transformer(hidden)
        hidden = rearrange(hidden, "(b q) f d -> b f q d", q=q)
        return self.squeeze(hidden.reshape(batch, -1, hidden.shape[-1]), self.proj)

    def time(self, sync: Tensor | None, tokens: Tensor) -> Tensor:
        """Features `b s d`, or None for zeros -> what they add to tokens `b tokens d`."""
        if sync is None:
            sync = tokens.new_zeros(len(tokens), self.config.sync.tokens, tokens.shape[-1])
        return self.squeeze(sync.to(tokens), self.proj_sync)

    def squeeze(self, x: Tensor, proj: nn.Linear) -> Tensor:
        """`b l d` -> `b tokens d`."""
        # A flat reading of memory, not a transpose: a row of the projection mixes about three
        # neighbouring tokens with all their channels. The model was trained so.
        rows = x.reshape(len(x), -1, proj.in_features)
        return proj(rows).reshape(len(x), self.config.tokens, -1)


def clip_pixels(frames: Tensor) -> Tensor:
    """Frames `f 3 h w` in 0..255 as CLIP wants them: scaled to 0..1 once, then normalised."""
    mean, std = (torch.tensor(v, device=frames.device).view(3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    return (frames.float() / 255 - mean) / std


def stretch(image: Tensor, size: int) -> Tensor:
    """An image `3 h w` -> `3 size size` float32, aspect not kept, as the model was trained."""
    return interpolate(image[None].float(), (size, size), mode="bilinear", antialias=True)[0]


def encode_video(
    conditioner: VideoConditioner, frames: Tensor, hide: tuple[Span, ...] = (), *,
    sync: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Frames at the config's rate -> features `1 tokens d`.

    Args:
        conditioner: of a checkpoint.
        frames: `f 3 224 224` in 0..255, as many as the config says (50).
        hide: seconds that the model shall not see.
        sync: of `encode_sync` with the same `hide`, for a model that reads them; None: zeros.
    """
    frames = hide_frames(frames, conditioner.config.fps, hide)
    return conditioner(frames[None].to(conditioner.proj.weight.device), sync)


def encode_image(
    conditioner: VideoConditioner, image: Tensor, hide: tuple[Span, ...] = (), *,
    sync: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A still image `3 h w` in 0..255 -> features `1 tokens d`: a video in which nothing moves.

    `hide` and `sync` (of the `still_clip`) as in `encode_video`.
    """
    config, device = conditioner.config, conditioner.proj.weight.device
    frame = stretch(image.to(device), config.clip.image)
    hidden = hidden_frames(config.frames, config.fps, hide).to(device)
    shown, black = conditioner.look(torch.stack([frame, torch.zeros_like(frame)]))  # CLIP once
    states = torch.where(hidden[:, None, None], black, shown)[None]
    return conditioner.finish(states, sync, is_absent(frame[None]) | hidden.all())


def encode_sync(
    synchformer: Synchformer, frames: Tensor, fps: float, hide: tuple[Span, ...] = (),
    on_progress: Callable[[float], None] = lambda _: None,
) -> Tensor:  # fmt: skip
    """Frames -> the features that a model with `config.video.sync` reads beside CLIP's, `1 s d`.

    Args:
        synchformer: of a checkpoint; it may be in half precision, the features are float32.
        frames: `f 3 224 224` in 0..255, as many as `SyncConfig` says (250).
        fps: of the frames, to find what is hidden.
        hide: seconds that the model shall not see.
        on_progress: called now and then with the share that is done, 0..1; may raise to stop.
    """
    return sync_features(synchformer, hide_frames(frames, fps, hide), on_progress=on_progress)


def still_clip(image: Tensor, config: SyncConfig) -> Tensor:
    """A still image `3 h w` in 0..255 as the frames of `encode_sync`, without memory for each."""
    frame = stretch(image, config.encoder.image).round().clamp(0, 255).to(torch.uint8)
    return frame.expand(config.frames, -1, -1, -1)
