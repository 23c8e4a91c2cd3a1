"""What shall sound, and how it is sampled: said once, checked before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Literal

from torch import Tensor

from ..conditioners.masking import Span
from ..config import AudioXConfig, SamplingConfig
from ..diffusion.objectives import OBJECTIVES
from ..diffusion.samplers import SOLVERS
from ..diffusion.schedules import last_part
from ..errors import SettingsError

MAX_STEPS = 10_000
DENOISE = 0.5  # of a sound that is varied, where nobody says


@dataclass(frozen=True)
class Request:
    """What shall sound, and how it is sampled. Settings left at None are the model's own."""

    prompt: str = ""
    negative: str = ""
    video: str | Path | None = None
    image: str | Path | None = None
    audio: str | Path | None = None  # a sound or music prompt; its first ten seconds count
    text_strength: float = 1.0  # strengths: 0 is absent, 1 is present
    video_strength: float = 1.0
    audio_strength: float = 1.0
    hide: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)  # "video", "audio"
    start: float = 0.0  # seconds into the video
    seconds: float | None = None  # None: to the end of the video; without a video, ten
    init_audio: str | Path | None = None  # a sound to vary or to repair
    denoise: float | None = None  # how much of it is made anew, 0..1; None: half
    init_noise_level: float | None = None  # the same as a sigma to begin from, in its place
    inpaint: tuple[Span, ...] = ()  # the seconds of it that are made anew; the rest stays
    seed: int = 0
    steps: int | None = None
    cfg: float | None = None
    cfg_rescale: float | None = None
    sampler: str | None = None
    timing: Literal["true", "reference"] = "true"  # how frames are picked: media/video.py


def start_sigmas(request: Request, config: AudioXConfig, sampling: SamplingConfig) -> Tensor:
    """The sigmas of a run: all of them, or where a known sound leaves less to do."""
    schedule = OBJECTIVES[config.objective].schedule
    steps, low, high = sampling.steps, sampling.sigma_min, sampling.sigma_max
    if request.init_audio is None or request.inpaint:
        return schedule(steps, low, high)
    if request.init_noise_level is not None:
        return schedule(steps, low, request.init_noise_level)
    denoise = DENOISE if request.denoise is None else request.denoise
    return last_part(schedule, steps, denoise, sigma_min=low, sigma_max=high)


def check_sampling(request: Request, sampling: SamplingConfig, objective: str = "v") -> None:
    """Raise SettingsError for numbers that no run can use."""
    if not 0 <= request.seed < 2**64:
        raise SettingsError(f"The seed {request.seed} is out of range: 0 to 2^64 - 1.")
    if not 1 <= sampling.steps <= MAX_STEPS:
        raise SettingsError(f"{sampling.steps} steps were asked for: take 1 to {MAX_STEPS:,}.")
    if sampling.sampler not in SOLVERS:
        raise SettingsError(f"There is no sampler {sampling.sampler!r}: take {', '.join(SOLVERS)}.")
    if objective == "rectified_flow" and not SOLVERS[sampling.sampler].flows:
        takes = ", ".join(name for name, solver in SOLVERS.items() if solver.flows)
        raise SettingsError(
            f"{sampling.sampler} counts in another kind of noise than this model (a rectified "
            f"flow): take {takes}."
        )
    if not (isfinite(sampling.cfg) and 0 <= sampling.cfg <= 100):
        raise SettingsError(f"A cfg of {sampling.cfg} was given: take 0 to 100, usually 3 to 8.")
    if not 0 <= sampling.cfg_rescale <= 1:
        raise SettingsError(f"A cfg rescale of {sampling.cfg_rescale} was given: take 0 to 1.")


def check_known(request: Request, sampling: SamplingConfig) -> None:
    """Raise SettingsError where a known sound is missing or is to be changed in two ways."""
    changes = {
        "A denoise": request.denoise,
        "An init noise level": request.init_noise_level,
        "A span to inpaint": request.inpaint or None,
    }
    asked = [name for name, value in changes.items() if value is not None]
    if asked and request.init_audio is None:
        raise SettingsError(f"{asked[0]} was given without a sound to change: give --init-audio.")
    if len(asked) > 1:
        both = " and ".join(asked).lower()
        raise SettingsError(f"One sound is changed in one way, but {both} were given: choose one.")
    if request.denoise is not None and not 0.001 <= request.denoise <= 1:
        raise SettingsError(f"A denoise of {request.denoise} was given: take 0.001 to 1.")
    level = request.init_noise_level
    highest = 1 if sampling.sigma_min == 0 else 10_000  # of a rectified flow, of v-prediction
    if level is not None and not sampling.sigma_min < level <= highest:
        raise SettingsError(
            f"An init noise level of {level} was given: it is a sigma above the smallest one, "
            f"{sampling.sigma_min:g}, and at most {highest:,}."
        )
    if request.inpaint and not SOLVERS[sampling.sampler].stochastic:
        takes = ", ".join(name for name, solver in SOLVERS.items() if solver.stochastic)
        raise SettingsError(
            f"{sampling.sampler} cannot hold on to a known part: inpaint with {takes}."
        )
