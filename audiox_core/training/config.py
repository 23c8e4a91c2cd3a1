"""All settings of a training run; `settings.py` reads them from TOML."""

from dataclasses import asdict, dataclass, field
from operator import attrgetter
from typing import Any

from ..config import AudioXConfig
from ..errors import SettingsError, check_number, shown
from .mask_sampler import MaskConfig

MOST_STEPS = 1_000_000_000
CHOICES = {
    "optim.precision": ("fp32", "bf16", "fp16"),
    "optim.schedule": ("inverse", "cosine", "constant"),
    "run.dtype": ("float32", "float16", "bfloat16"),
}
RANGES = (  # settings, smallest value, largest value
    ("masks.patches masks.text masks.sound masks.masked masks.absent masks.unconditional", 0, 1),
    ("data.music optim.warmup ema.beta", 0, 1),
    ("optim.betas", 0, 0.99999),
    ("optim.lr optim.weight_decay optim.power ema.power", 0, 10),
    ("optim.inv_gamma ema.inv_gamma", 0.001, 1_000_000_000_000),
    (
        "optim.clip vae.mel vae.wave vae.wave_hz vae.level vae.flux vae.kl lora.alpha run.minutes",
        0,
        1_000_000,
    ),
    ("vae.noise vae.level_floor diffusion.balance", 0, 1),
    ("vae.crop_seconds diffusion.timestep_skew", 0.1, 100),
    ("vae.windows diffusion.vocabulary", 16, 65_536),
    ("vae.floor", 1e-9, 1),
    ("lora.rank optim.batch optim.accumulation", 1, 4_096),
    ("run.steps run.save_every run.log_every", 1, MOST_STEPS),
    ("data.clips data.first optim.warmup_steps ema.update_after", 0, MOST_STEPS),
    ("data.workers", 0, 1_024),
    ("run.seed data.seed", 0, 2**63 - 1),
)
# settings that may differ when a run is resumed; all others decide the numbers
NOT_IN_IDENTITY = {
    "run.steps", "run.minutes", "run.save_every", "run.log_every",
    "data.workers", "data.cache", "data.media",
}  # fmt: skip


@dataclass(frozen=True)
class DataConfig:
    """The clips, and the cache of their features."""

    source: str = ""  # "world", "effects", or a manifest of JSON lines
    media: str = ""  # folder that a manifest's paths are relative to; "": the manifest's own
    clips: int = 0  # how many of the source; 0: all of a manifest, 2000 of rendered ones
    first: int = 0  # number of the first one
    seed: int = 0  # of rendered clips: each seed has clips of its own
    music: float = 0.25  # share of the rendered clips that are music
    cache: str = ""  # folder of cached latents and features; "": `cache` in the output
    workers: int = 1  # processes that fill the cache


@dataclass(frozen=True)
class OptimConfig:
    """The optimiser and its learning rate."""

    lr: float = 5e-5
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-3
    schedule: str = "inverse"  # an exponential warm-up and a slow decay; or "cosine", "constant"
    warmup: float = 0.99  # of "inverse": share of the warm-up that is left after each step
    warmup_steps: int = 0  # of "cosine" and "constant": linear
    inv_gamma: float = 1e6  # of "inverse": steps after which it decays
    power: float = 0.5
    clip: float = 1.0  # largest norm of the gradient; 0: no limit
    batch: int = 8  # clips in a batch of one process
    accumulation: int = 1  # batches of a step
    precision: str = "fp32"  # or "bf16", "fp16": autocast

    def items_per_step(self, processes: int) -> int:
        """Clips that all processes together use in a step."""
        return self.batch * self.accumulation * processes


@dataclass(frozen=True)
class EmaConfig:
    """The average of the weights that is saved: see `optim.ema_decay`."""

    beta: float = 0.9999
    power: float = 0.75
    inv_gamma: float = 1.0
    update_after: int = 1


@dataclass(frozen=True)
class RunConfig:
    """Length, seed, and what is written when."""

    steps: int = 10_000
    seed: int = 42
    save_every: int = 1_000  # steps
    log_every: int = 10  # steps
    minutes: float = 0.0  # of wall-clock time, after which a run saves and ends; 0: no limit
    dtype: str = "float16"  # of the matrices in model.safetensors


@dataclass(frozen=True)
class VaeConfig:
    """The stage `vae`: the losses of a reconstruction."""

    crop_seconds: float = 1.5
    mel: float = 1.0  # weights of the losses
    wave: float = 0.1
    wave_hz: float = 0.0  # highest frequency that `wave` compares; 0: all
    # of regions of the same spectrograms: keeps the loudness of unpredictable sounds
    level: float = 1.0
    flux: float = 0.0  # of how much these regions change: keeps the roughness of noise
    kl: float = 1e-4
    # of what is added to the latents, up to this share of each channel's deviation, so that a
    # transformer's small errors are not heard
    noise: float = 0.0
    train_encoder: bool = True  # false: the latents stay those of --init
    frozen: tuple[str, ...] = ()  # prefixes of names of weights that are not trained
    windows: tuple[int, ...] = (2_048, 1_024, 512, 256, 128, 64)  # of the spectrograms, samples
    floor: float = 2e-4  # magnitudes below it count as silence
    level_floor: float = 0.0  # the same of `level`; 0: as `floor`
    # scale the file's latents to unit variance, which diffusion expects; not if --init is a model,
    # or if the encoder is not trained
    normalize_latents: bool = True


@dataclass(frozen=True)
class DiffusionConfig:
    """The stage `diffusion`: the parts that are trained beside the transformer."""

    train_clip: bool = False  # the image encoder
    train_text: bool = False  # the text encoder
    train_video: bool = True  # what follows it: temporal transformer, projection, absent features
    train_conditioners: bool = True  # the others: audio prompts, fusion
    timestep_skew: float = 1.0  # above 1, more diffusion times are near pure noise
    # above 0, a clip's error counts the more the quieter it is: see `objective.diffusion_loss`
    balance: float = 0.0
    # prefixes of names of the transformer's weights that are not trained
    frozen: tuple[str, ...] = ()
    vocabulary: int = 2_048  # largest size of a tokenizer that is trained on the captions


@dataclass(frozen=True)
class LoraConfig:
    """The stage `lora`: which layers of the transformer get an adapter."""

    rank: int = 8
    alpha: float = 0.0  # 0: the rank, that is a scale of 1
    pattern: str = r"transformer\.layers\."  # a regular expression that a layer's name contains


@dataclass(frozen=True)
class TrainConfig:
    """All sections."""

    model: AudioXConfig = field(default_factory=AudioXConfig)  # its sizes, without --init
    data: DataConfig = field(default_factory=DataConfig)
    masks: MaskConfig = field(default_factory=MaskConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    ema: EmaConfig = field(default_factory=EmaConfig)
    run: RunConfig = field(default_factory=RunConfig)
    vae: VaeConfig = field(default_factory=VaeConfig)
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)

    def checked(self) -> "TrainConfig":
        """The config itself. Raises SettingsError for invalid values."""
        for name, known in CHOICES.items():
            if (value := attrgetter(name)(self)) not in known:
                raise SettingsError(f"{name} is {shown(value)}: choose one of {', '.join(known)}.")
        for names, low, high in RANGES:
            for name in names.split():
                value = attrgetter(name)(self)
                for number in value if isinstance(value, tuple) else (value,):
                    check_number(name, number, low, high)
        low, high = self.masks.sound
        if low > high:
            raise SettingsError(f"masks.sound is [{low}, {high}]: write the smaller number first.")
        return self

    def identity(self) -> dict[str, dict[str, Any]]:
        """All settings that decide the numbers of a run, for JSON."""
        # a cosine depends on the number of steps
        free = NOT_IN_IDENTITY - ({"run.steps"} if self.optim.schedule == "cosine" else set())
        return {
            section: {key: values[key] for key in values if f"{section}.{key}" not in free}
            for section, values in asdict(self).items()
        }
