"""What to generate and how: all settings of a run, checked before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..conditioners.inputs import Span, TimeRange, check_prompt, check_spans
from ..config import AudioXConfig, SamplingConfig
from ..errors import SettingsError, check_number
from ..limits import MAX_START, check_denoise, check_seconds, check_seed, resolve_sampling

SAMPLING = ("steps", "cfg", "cfg_rescale", "sampler")  # fields of a request and of SamplingConfig
DENOISE = 0.5  # of a variation, where the request does not say
MAX_SIGMA = {"v": 10_000.0, "rectified_flow": 1.0}  # of init_noise_level, by objective


@dataclass(frozen=True)
class Request:
    """The inputs of a run and its sampling settings; those that are None are the model's own."""

    prompt: str = ""
    negative: str = ""
    prompts: tuple[tuple[float, float, str], ...] = ()  # from, to (seconds), text; `prompt` is for
    # everywhere else
    crossfade: float = 0.5  # seconds at each border of them
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
    check_request(request)
    given = {name: getattr(request, name) for name in SAMPLING}
    sampling = resolve_sampling(config, **given)
    level, highest = request.init_noise_level, MAX_SIGMA[config.objective]
    if level is not None and not sampling.sigma_min < level <= highest:
        raise SettingsError(
            f"init_noise_level is {level:g}: it must be above {sampling.sigma_min:g} and at "
            f"most {highest:g}."
        )
    return sampling


def check_request(request: Request) -> None:
    """Check all that depends neither on the model nor on the content of files.

    Raises:
        SettingsError: a value that no run can use, a missing input, or inputs or settings that
            exclude each other.
    """
    for name in ("prompt", "negative"):
        check_prompt(getattr(request, name))
    for start, end, text in request.prompts:
        TimeRange(start, end, request.crossfade).check()
        check_prompt(text)
    for name in ("video", "image", "audio", "init_audio"):
        if not isinstance(path := getattr(request, name), str | Path | None):
            raise SettingsError(f"{name} is a {type(path).__name__}: pass the path of a file.")
    for name in ("text_strength", "video_strength", "audio_strength"):
        check_number(name, getattr(request, name), 0, 1)
    check_number("The start", request.start, 0, MAX_START, unit=" s")
    if request.seconds is not None:
        check_seconds(request.seconds)
    if request.init_noise_level is not None:
        check_number("init_noise_level", request.init_noise_level, 0, MAX_SIGMA["v"])
    check_seed(request.seed)
    # the limits are those of every model
    resolve_sampling(AudioXConfig(), **{name: getattr(request, name) for name in SAMPLING})
    _check_inputs(request)
    _check_variation(request)


def _check_inputs(request: Request) -> None:
    sources = {"video": request.video or request.image, "audio": request.audio}
    inputs = (request.prompt.strip(), request.prompts, request.init_audio, *sources.values())
    if not any(inputs):
        raise SettingsError("The request has no input: pass a prompt, a video, an image or audio.")
    if not isinstance(request.hide, Mapping):
        raise SettingsError('hide is no table: use {"video": ((0, 2),)}, "audio", or both.')
    for name, spans in request.hide.items():
        if not sources.get(name):
            raise SettingsError(f"There is no {name} to hide: pass one, or change hide.")
        check_spans(spans)
    if request.video is not None and request.image is not None:
        raise SettingsError("A video and an image were given: use only one of them.")
    if request.start and request.video is None:
        raise SettingsError("start is a time in a video: pass a video, or leave start out.")


def _check_variation(request: Request) -> None:
    """Raise SettingsError if init audio is missing, or more than one way to change it is set."""
    check_spans(request.inpaint)
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
