"""What to generate and how: all settings of a run, checked before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..conditioners.masking import Span
from ..config import AudioXConfig, SamplingConfig
from ..errors import SettingsError
from .sampling import check_denoise, check_seed, resolve_sampling

DENOISE = 0.5  # of a variation, where the request does not say
MAX_SIGMA = {"v": 10_000.0, "rectified_flow": 1.0}  # of init_noise_level, by objective


@dataclass(frozen=True)
class Request:
    """The inputs of a run and its sampling settings; those that are None are the model's own."""

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
    init_audio: str | Path | None = None  # a sound to vary or to inpaint
    denoise: float | None = None  # how much of it is generated, 0..1; None: half
    init_noise_level: float | None = None  # the same as a sigma to start from, in its place
    inpaint: tuple[Span, ...] = ()  # the seconds of it that are generated; the rest is kept
    seed: int = 0
    steps: int | None = None
    cfg: float | None = None
    cfg_rescale: float | None = None
    sampler: str | None = None
    timing: Literal["true", "reference"] = "true"  # how frames are picked: media/video.py


def sampling_of(request: Request, config: AudioXConfig) -> SamplingConfig:
    """The sampling settings of a request for a model.

    Raises:
        SettingsError: a value that no run can use, or settings that exclude one another.
    """
    names = ("steps", "cfg", "cfg_rescale", "sampler")
    sampling = resolve_sampling(config, **{name: getattr(request, name) for name in names})
    check_seed(request.seed)
    _check_variation(request, sampling, config.objective)
    return sampling


def check_inputs(request: Request) -> None:
    """Raise SettingsError if inputs are missing or exclude each other."""
    sources = {"video": request.video or request.image, "audio": request.audio}
    prompt = request.prompt.strip() if request.prompt else ""
    if not any((prompt, request.init_audio, *sources.values())):
        raise SettingsError("The request has no input: pass a prompt, a video, an image or audio.")
    if missing := [name for name in request.hide if not sources.get(name)]:
        raise SettingsError(f"There is no {missing[0]} to hide: pass one, or change hide.")
    if request.video is not None and request.image is not None:
        raise SettingsError("A video and an image were given: use only one of them.")
    if not request.start >= 0:
        raise SettingsError(f"The start is {request.start:g} s: it must be 0 or more.")
    if request.start and request.video is None:
        raise SettingsError("start is a time in a video: pass a video, or leave start out.")


def _check_variation(request: Request, sampling: SamplingConfig, objective: str) -> None:
    """Raise SettingsError if init audio is missing, or more than one way to change it is set."""
    changes = {
        "denoise": request.denoise,
        "init_noise_level": request.init_noise_level,
        "inpaint": request.inpaint or None,
    }
    given = [name for name, value in changes.items() if value is not None]
    if given and request.init_audio is None:
        raise SettingsError(f"{given[0]} needs existing audio: pass init_audio.")
    if len(given) > 1:
        raise SettingsError(f"{' and '.join(given)} exclude each other: use one of them.")
    if request.denoise is not None:
        check_denoise(request.denoise)
    level, highest = request.init_noise_level, MAX_SIGMA[objective]
    if level is not None and not sampling.sigma_min < level <= highest:
        raise SettingsError(
            f"init_noise_level is {level:g}: it must be above {sampling.sigma_min:g} and at "
            f"most {highest:g}."
        )
