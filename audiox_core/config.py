"""Every size of a model as a frozen dataclass; derived sizes are methods, so they are said once.

The defaults are AudioX v1 (arXiv 2503.10522; sizes of the released checkpoint). A checkpoint made
by this project carries its `AudioXConfig` as JSON in the file's header.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from math import isfinite, prod
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class LatentConfig:
    """The VAE's latent grid: 64 channels, 2048 samples a frame, 236 frames a window."""

    sample_rate: int = 44_100  # Hz
    hop_length: int = 2_048  # samples per latent frame
    channels: int = 64
    window: int = 236  # frames that the transformer knows
    conditioned_seconds: float = 10.0  # of a window, covered by video and audio tokens

    @property
    def window_seconds(self) -> float:
        """Length of the longest sound that one window holds: 10.96 s."""
        return self.window * self.hop_length / self.sample_rate

    @property
    def conditioned_frames(self) -> int:
        """Whole latent frames of a window that video and audio tokens cover: 215."""
        return self.samples(self.conditioned_seconds) // self.hop_length

    def samples(self, seconds: float) -> int:
        """Audio samples in `seconds`."""
        return round(seconds * self.sample_rate)


@dataclass(frozen=True)
class OobleckConfig:
    """The convolutional VAE between audio and latents."""

    io_channels: int = 2
    channels: int = 128
    multipliers: tuple[int, ...] = (1, 2, 4, 8, 16)
    strides: tuple[int, ...] = (2, 4, 4, 8, 8)
    latent_channels: int = 64

    @property
    def hop_length(self) -> int:
        """Audio samples per latent frame."""
        return prod(self.strides)


@dataclass(frozen=True)
class DiTConfig:
    """The diffusion transformer with cross attention to the condition tokens."""

    io_channels: int = 64
    width: int = 1_536
    depth: int = 24
    head_dim: int = 64
    cond_dim: int = 768  # width of a condition token
    global_dim: int = 1_536  # 0: no global condition; v1 has its weights and never feeds them
    ff_mult: int = 4
    time_frequencies: int = 128

    @property
    def rotary_dim(self) -> int:
        """Leading dimensions of a head that the rotary embedding rotates; the others stay."""
        return max(self.head_dim // 2, 32)


@dataclass(frozen=True)
class MMDiTConfig:
    """The diffusion transformer that the condition modulates, position by position."""

    io_channels: int = 64
    width: int = 1_536
    depth: int = 24
    head_dim: int = 24  # the release's `num_heads` is this number; it has 64 heads
    cond_dim: int = 768  # width of a condition token
    global_dim: int = 768  # 0: no global condition; the release has its weights, never feeds them
    ff_width: int = 4_096
    kernel: int = 3  # of its convolutions over time
    positions: int = 237  # the time token and the frames of a window: no other length works
    tokens: int = 384  # condition tokens of a window
    time_frequencies: int = 128


@dataclass(frozen=True)
class MAFConfig:
    """The multi-modal adaptive fusion block between conditioners and transformer."""

    width: int = 768
    experts: int = 64  # of each modality
    heads: int = 24
    depth: int = 8
    ff_width: int = 3_072


@dataclass(frozen=True)
class TextConfig:
    """A T5 encoder. The defaults are T5-base."""

    vocab_size: int = 32_128
    width: int = 768
    depth: int = 12
    heads: int = 12
    head_dim: int = 64
    ff_width: int = 3_072
    gated: bool = False  # T5 1.1 gates its feed-forward
    buckets: int = 32  # of relative positions
    max_distance: int = 128


@dataclass(frozen=True)
class ClipConfig:
    """A CLIP vision tower. The defaults are ViT-B/32."""

    width: int = 768
    depth: int = 12
    heads: int = 12
    ff_width: int = 3_072
    patch: int = 32  # pixels
    image: int = 224  # pixels a side
    projection: int = 512  # in the file, not used

    @property
    def tokens(self) -> int:
        """Tokens of a picture: one class token and its patches."""
        return (self.image // self.patch) ** 2 + 1


@dataclass(frozen=True)
class TemporalConfig:
    """The transformer that follows every picture token over time."""

    depth: int = 4
    heads: int = 16
    head_dim: int = 64
    ff_width: int = 3_072


@dataclass(frozen=True)
class SynchformerConfig:
    """Synchformer's visual encoder: what moves when, in short segments. The default is ViT-B/16."""

    width: int = 768
    depth: int = 12
    heads: int = 12
    ff_width: int = 3_072
    patch: int = 16  # pixels
    patch_frames: int = 2
    image: int = 224  # pixels a side
    segment: int = 16  # frames that are looked at together
    step: int = 8  # frames between two segments


@dataclass(frozen=True)
class SyncConfig:
    """Synchformer's features of a video: when something moves, at a higher frame rate."""

    fps: float = 25.0
    frames: int = 250
    encoder: SynchformerConfig = field(default_factory=SynchformerConfig)

    @property
    def segments(self) -> int:
        """Segments that fit into the frames: 30."""
        return (self.frames - self.encoder.segment) // self.encoder.step + 1

    @property
    def tokens(self) -> int:
        """Tokens of a window: 240."""
        return self.segments * (self.encoder.segment // self.encoder.patch_frames)


@dataclass(frozen=True)
class VideoConfig:
    """Video prompt: frames at a fixed rate become a fixed number of tokens."""

    fps: float = 5.0
    frames: int = 50
    tokens: int = 128
    clip: ClipConfig = field(default_factory=ClipConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    sync: SyncConfig | None = None  # None: the model does not use Synchformer


@dataclass(frozen=True)
class MelConfig:
    """A log-mel spectrogram as the audio prompt of AudioX-MAF."""

    sample_rate: int = 24_000  # what the samples are taken for, whatever their true rate
    fft: int = 1_024
    hop: int = 256
    filters: int = 256


@dataclass(frozen=True)
class SamplingConfig:
    """The sampling settings of a run; those of a model's config are its defaults."""

    steps: int = 250
    cfg: float = 7.0
    cfg_rescale: float = 0.0
    sampler: str = "dpmpp_3m_sde"
    sigma_min: float = 0.3
    sigma_max: float = 500.0


@dataclass(frozen=True)
class AudioXConfig:
    """A whole model: what the parts are, how they fit, how it is sampled."""

    variant: str = "audiox"
    # shown when the model is loaded: what a user should know about these weights
    note: str = "these weights are for non-commercial use (CC-BY-NC-4.0)"
    latent: LatentConfig = field(default_factory=LatentConfig)
    vae: OobleckConfig = field(default_factory=OobleckConfig)
    dit: DiTConfig | MMDiTConfig = field(default_factory=DiTConfig)
    objective: str = "v"  # or "rectified_flow": diffusion/objectives.py
    maf: MAFConfig | None = None  # None: the tokens are joined as they are
    video: VideoConfig = field(default_factory=VideoConfig)
    text: TextConfig = field(default_factory=TextConfig)
    text_tokens: int = 128
    audio_tokens: int = 215  # of an audio prompt
    audio_latents: int | None = None  # of which they are projected; None: each is a token
    mel: MelConfig | None = None  # the prompt is a spectrogram, not a latent
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    def to_json(self) -> str:
        """The config as it stands in a checkpoint's header."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "AudioXConfig":
        """Read `to_json` back. Raises ValueError where the text is not a config."""
        try:
            return _build(cls, json.loads(text)).checked()
        except (TypeError, RecursionError, ArithmeticError) as error:
            raise ValueError(str(error)) from error

    def checked(self) -> "AudioXConfig":
        """The config itself.

        Raises:
            ValueError: no model can have these sizes.
        """
        _check_sizes(self)
        for what, size, relation, other in self._relations():
            if size % other if relation else size != other:
                raise ValueError(f"{what} is {size}, but must be {relation}{other}")
        rotary = getattr(self.dit, "rotary_dim", self.dit.head_dim)
        if rotary > self.dit.head_dim or self.dit.head_dim % 2:
            raise ValueError(
                f"rotary embeddings need an even dit.head_dim of at least {rotary}, not "
                f"{self.dit.head_dim}"
            )
        latent = self.latent
        if not 2 <= latent.conditioned_frames <= latent.window:
            raise ValueError(
                f"latent.conditioned_seconds is {latent.conditioned_seconds:g}, but a window of "
                f"{latent.window} frames lasts {latent.window_seconds:g} s"
            )
        if self.objective not in OBJECTIVE_NAMES:
            names = " or ".join(OBJECTIVE_NAMES)
            raise ValueError(f"objective is {self.objective!r}, but must be {names}")
        if self.objective == "v" and not 0 < self.sampling.sigma_min < self.sampling.sigma_max:
            raise ValueError("sigma_min is not between 0 and sigma_max")
        return self

    @property
    def prompt_latents(self) -> int:
        """Latents of an audio prompt; 0 where it is a spectrogram."""
        return 0 if self.mel is not None else self.audio_latents or self.audio_tokens

    @property
    def tokens(self) -> int:
        """Condition tokens of a window."""
        return self.video.tokens + self.text_tokens + self.audio_tokens

    def _relations(self) -> Iterator[tuple[str, int, str, int]]:
        """Sizes that fit each other: the name and value of one, "" or MULTIPLE, the other one."""
        dit, clip, maf, sync = self.dit, self.video.clip, self.maf, self.video.sync
        yield "dit.width", dit.width, MULTIPLE, dit.head_dim
        yield "video.clip.width", clip.width, MULTIPLE, clip.heads
        yield "video.clip.image", clip.image, MULTIPLE, clip.patch
        yield "the number of vae.strides", len(self.vae.strides), "", len(self.vae.multipliers)
        if isinstance(dit, MMDiTConfig):
            yield "dit.tokens", dit.tokens, "", self.tokens
            yield "dit.positions", dit.positions, "", self.latent.window + 1
        else:
            yield "dit.cond_dim", dit.cond_dim, MULTIPLE, dit.head_dim
            yield "dit.width", dit.width, MULTIPLE, dit.cond_dim
        if maf is not None:
            yield "maf.width", maf.width, MULTIPLE, maf.heads
            yield "maf.width", maf.width, "", dit.cond_dim
        if sync is not None:
            yield "video.sync.encoder.width", sync.encoder.width, MULTIPLE, sync.encoder.heads
            yield "video.sync.encoder.image", sync.encoder.image, MULTIPLE, sync.encoder.patch


MULTIPLE = "a multiple of "
OBJECTIVE_NAMES = ("v", "rectified_flow")
MAY_BE_ZERO = {"global_dim", "cfg", "cfg_rescale", "sigma_min"}
LARGEST = 10_000_000
# of some fields, by name: they must not fill the memory, or end in a window of no frames
LARGEST_OF = {
    "depth": 1_000, "tokens": 10_000, "text_tokens": 2_000, "audio_tokens": 10_000,
    "frames": 10_000, "image": 4_096, "window": 10_000, "conditioned_seconds": 120,
    "hop_length": 100_000, "sample_rate": 768_000, "fps": 1_000, "fft": 65_536, "steps": 100_000,
}  # fmt: skip
SMALLEST_OF = {"sample_rate": 1_000}


def _check_sizes(config: Any) -> None:
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            _check_sizes(value)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, (int, float)) and not isinstance(number, bool):
                zero_is_fine = number == 0 and item.name in MAY_BE_ZERO
                too_large = number > LARGEST_OF.get(item.name, LARGEST)
                too_small = number <= 0 or number < SMALLEST_OF.get(item.name, 0)
                if too_large or not isfinite(number) or (too_small and not zero_is_fine):
                    raise ValueError(f"{item.name} is {str(number)[:20]}, which is out of range")


def _build(kind: Any, data: Any) -> Any:
    """A dataclass, a tuple or a plain value from parsed JSON."""
    if isinstance(kind, UnionType):
        kinds = get_args(kind)
        return _build(next((k for k in kinds if _fits(k, data)), kinds[0]), data)
    if kind is NoneType:
        return None
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        if not isinstance(data, Mapping) or not data.keys() <= hints.keys():
            raise ValueError(f"{kind.__name__} has no such fields: {data!r}"[:200])
        known = (f.name for f in fields(kind) if f.name in data)
        return kind(**{name: _build(hints[name], data[name]) for name in known})
    if get_origin(kind) is tuple:
        return tuple(_build(get_args(kind)[0], item) for item in data)
    if not isinstance(data, (int, kind) if kind is float else kind):
        raise ValueError(f"expected {kind.__name__}, but found {data!r}")
    return kind(data)


def _fits(kind: Any, data: Any) -> bool:
    """Whether `data` may be of a type; of dataclasses of the one that knows all its names."""
    if is_dataclass(kind):
        return isinstance(data, Mapping) and data.keys() <= get_type_hints(kind).keys()
    return (kind is NoneType) == (data is None)
