"""Video or a still image -> 128 tokens: CLIP on every frame, then a transformer over time.

The MAF models add features of Synchformer, which encodes 25 frames per second and so resolves when
things move. Parameter names follow the released checkpoints. Axes: `b` clips, `f` frames,
`q` tokens of a frame, `s` sync features of a clip, `d` width, `h w` pixels.
"""

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..config import SyncConfig, VideoConfig
from ..models.clip import ClipVision
from ..models.synchformer import Synchformer, sync_features
from ..models.temporal import TemporalTransformer
from .inputs import Span
from .masking import hidden_frames, hide_frames, is_absent, replace_absent

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

    def encode(
        self, frames: Tensor, hide: tuple[Span, ...] = (), *, sync: Tensor | None = None
    ) -> Tensor:
        """Encode the frames of one clip.

        Args:
            frames: `f 3 h w` in 0..255 at the rate, size and count of the config (5 a second, 224
                pixels, 50).
            hide: spans in seconds that are blackened first.
            sync: features of `encode_sync` with the same `hide`, `1 s d`; None stands for zeros.

        Returns:
            Tokens `1 tokens d`.
        """
        frames = hide_frames(frames, self.config.fps, hide)
        return self(frames[None].to(self.proj.weight.device), sync)

    def encode_image(
        self, image: Tensor, hide: tuple[Span, ...] = (), *, sync: Tensor | None = None
    ) -> Tensor:
        """Encode a still image as a clip in which nothing moves; CLIP runs on it once.

        Args:
            image: `3 h w` in 0..255, of any size.
            hide, sync: as in `encode`, with `sync` made from `still_clip`.

        Returns:
            Tokens `1 tokens d`.
        """
        config, device = self.config, self.proj.weight.device
        frame = stretch(image.to(device), config.clip.image)
        hidden = hidden_frames(config.frames, config.fps, hide).to(device)
        shown, black = self.clip_states(torch.stack([frame, torch.zeros_like(frame)]))
        states = torch.where(hidden[:, None, None], black, shown)[None]
        return self.project_states(states, sync, is_absent(frame[None]) | hidden.all())

    def forward(self, frames: Tensor, sync: Tensor | None = None) -> Tensor:
        """Frames `b f 3 h w` in 0..255 and sync features `b s d` -> tokens `b tokens d`.

        A model that reads sync features uses zeros if there are none, as the original
        implementation does.
        """
        states = torch.stack([self.clip_states(clip) for clip in frames])
        return self.project_states(states, sync, is_absent(frames))

    def clip_states(self, frames: Tensor) -> Tensor:
        """Frames `f 3 h w` in 0..255 -> CLIP's last hidden states `f q d`, before its last norm."""
        pixels = clip_pixels(frames).to(self.proj.weight)
        return self.visual_encoder_model(pixels)

    def project_states(self, states: Tensor, sync: Tensor | None, absent: Tensor) -> Tensor:
        """Turn hidden states into tokens.

        Args:
            states: CLIP's, `b f q d`.
            sync: features `b s d`, or None.
            absent: which clips are absent, `b` bool; their sync features do not count either.

        Returns:
            Tokens `b tokens d`.
        """
        tokens = self.temporal_tokens(states)
        if self.config.sync is not None:
            tokens = tokens + self.sync_weight * self.sync_tokens(sync, tokens)
        return replace_absent(tokens, self.empty_visual_feat, absent)

    def temporal_tokens(self, states: Tensor) -> Tensor:
        """Hidden states `b f q d` -> `b tokens d`."""
        batch, _, q, _ = states.shape
        states = rearrange(states, "b f q d -> (b q) f d") + self.Temp_pos_embedding
        states = self.Temp_transformer(states)
        states = rearrange(states, "(b q) f d -> b f q d", q=q)
        return self._project(states.reshape(batch, -1, states.shape[-1]), self.proj)

    def sync_tokens(self, sync: Tensor | None, tokens: Tensor) -> Tensor:
        """Features `b s d`, or None for zeros -> what is added to tokens `b tokens d`."""
        if sync is None:
            sync = tokens.new_zeros(len(tokens), self.proj_sync.in_features, tokens.shape[-1])
        return self._project(sync.to(tokens), self.proj_sync)

    def _project(self, x: Tensor, proj: nn.Linear) -> Tensor:
        """`b l d` -> `b tokens d`."""
        # A flat reading of memory, not a transpose: a row of the projection mixes about three
        # neighbouring tokens with all their channels. The model was trained so.
        rows = x.reshape(len(x), -1, proj.in_features)
        return proj(rows).reshape(len(x), self.config.tokens, -1)


def video_conditioner(config: VideoConfig) -> VideoConditioner:
    """The module of a model's sizes, without weights."""
    return VideoConditioner(config, config.clip.tokens, ClipVision(config.clip))


def clip_pixels(frames: Tensor) -> Tensor:
    """Frames `f 3 h w` in 0..255 -> CLIP's input: scaled to 0..1 once, then normalised."""
    pixels = frames.float() / 255
    for channel, (mean, std) in enumerate(zip(CLIP_MEAN, CLIP_STD, strict=True)):
        pixels[:, channel].sub_(mean).div_(std)  # in place: a clip takes tens of megabytes
    return pixels


def stretch(image: Tensor, size: int) -> Tensor:
    """An image `3 h w` -> `3 size size` float32; the aspect is not kept, as in training."""
    return interpolate(image[None].float(), (size, size), mode="bilinear", antialias=True)[0]


def encode_sync(
    synchformer: Synchformer,
    frames: Tensor,
    fps: float,
    hide: tuple[Span, ...] = (),
    on_progress: Callable[[float], None] = lambda _: None,
) -> Tensor:
    """Encode frames with Synchformer, for the models that read its features beside CLIP's.

    Args:
        synchformer: of a checkpoint; in any dtype.
        frames: `f 3 224 224` in 0..255, as many as `SyncConfig` says (250).
        fps: frame rate of `frames`, to find the hidden ones.
        hide: spans in seconds that are blackened first.
        on_progress: called with the share that is done, 0..1; may raise to stop.

    Returns:
        Features `1 s d`, float32.
    """
    return sync_features(synchformer, hide_frames(frames, fps, hide), on_progress=on_progress)


def still_clip(image: Tensor, config: SyncConfig) -> Tensor:
    """A still image `3 h w` in 0..255 as the frames of `encode_sync`, without memory for each."""
    frame = stretch(image, config.encoder.image).round().clamp(0, 255).to(torch.uint8)
    return frame.expand(config.frames, -1, -1, -1)
