"""What to generate and how: all settings of a run, checked before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..conditioners.inputs import Span, TimeRange, check_prompt, check_spans
from ..config import AudioXConfig, LatentConfig, SamplingConfig
from ..errors import SettingsError, check_number
from ..limits import (
    FEATHER_SECONDS,
    MAX_GAIN_DB,
    MAX_LUFS,
    MAX_SECONDS,
    MAX_START,
    MAX_TAKES,
    MIN_LUFS,
    GuidanceWeights,
    check_denoise,
    check_guidance,
    check_loop,
    check_seconds,
    check_seed,
    resolve_sampling,
)

SAMPLING = ("steps", "cfg", "cfg_rescale", "sampler")  # fields of a request and of SamplingConfig
GUIDANCE = ("text_guidance", "video_guidance", "audio_guidance")
_ANY_MODEL = AudioXConfig()  # its limits are those of every model
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
    loop: bool = False  # the sound can be repeated without a seam, and has exactly this length
    init_audio: str | Path | None = None  # a sound to vary or to inpaint
    denoise: float | None = None  # how much of it is generated, 0..1; None: half
    init_noise_level: float | None = None  # the same as a sigma to start from, in its place
    inpaint: tuple[Span, ...] = ()  # the seconds of it that are generated; the rest is kept
    extend: float = 0.0  # seconds to add after it; without `audio`, its last ten are the prompt
    feather: float = FEATHER_SECONDS  # seconds of the crossfade between kept and generated audio
    gain: float = 0.0  # of the generated sound, dB
    keep_original: float | None = None  # gain of the video's own sound, dB; None replaces it
    duck: float = 0.0  # dB by which it is turned down while the generated sound is loud
    lufs: float | None = None  # loudness of the result; None keeps its level
    takes: int = 1  # sounds of one run, each with noise of its own
    seed: int = 0
    steps: int | None = None
    cfg: float | None = None
    cfg_rescale: float | None = None
    text_guidance: float | None = None  # the guidance scale of each modality, in place of cfg; if
    video_guidance: float | None = None  # one is set, None is cfg; without any, guidance is
    audio_guidance: float | None = None  # ordinary
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
    _check_guidance(request, sampling, config)
    level, highest = request.init_noise_level, MAX_SIGMA[config.objective]
    if level is not None and not sampling.sigma_min < level <= highest:
        raise SettingsError(
            f"init_noise_level is {level:g}: it must be above {sampling.sigma_min:g} and at "
            f"most {highest:g}."
        )
    return sampling


def guidance_of(request: Request, sampling: SamplingConfig) -> GuidanceWeights | None:
    """The guidance scale of each modality; None for ordinary guidance."""
    given = [getattr(request, name) for name in GUIDANCE]
    if all(weight is None for weight in given):
        return None
    return GuidanceWeights(*(sampling.cfg if weight is None else weight for weight in given))


def _check_guidance(request: Request, sampling: SamplingConfig, config: AudioXConfig) -> None:
    if (weights := guidance_of(request, sampling)) is not None:
        check_guidance(weights, config)


def has_audio_prompt(request: Request) -> bool:
    """Whether a request has an audio prompt, or continues audio, whose end is the prompt."""
    return request.audio is not None or (request.init_audio is not None and request.extend > 0)


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
    check_number("takes", request.takes, 1, MAX_TAKES, whole=True)
    given = {name: getattr(request, name) for name in SAMPLING}
    resolved = resolve_sampling(_ANY_MODEL, **given)
    _check_guidance(request, resolved, _ANY_MODEL)
    _check_inputs(request)
    _check_variation(request)
    _check_mix(request)
    _check_loop(request)


def check_times(request: Request, seconds: float) -> None:
    """Check that the times of a request lie within the result.

    Args:
        request: its hidden times and its prompts over time are checked.
        seconds: length of the result.

    Raises:
        SettingsError: a time is after the end.
    """
    for name, length in (("video", seconds), ("audio", LatentConfig().conditioned_seconds)):
        if late := [begin for begin, _ in request.hide.get(name, ()) if begin >= length]:
            raise SettingsError(
                f"The time to hide starts at {late[0]:g} s, but the {name} ends at {length:.2f} s: "
                "change hide."
            )
    for begin, _end, text in request.prompts:
        if begin >= seconds:
            raise SettingsError(
                f"The prompt {text[:40]!r} starts at {begin:g} s, but the audio ends at "
                f"{seconds:.2f} s: use an earlier time, or more seconds."
            )


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
        "extend": request.extend or None,
    }
    given = [name for name, value in changes.items() if value is not None]
    if given and request.init_audio is None:
        raise SettingsError(f"{given[0]} needs existing audio: pass init_audio.")
    if len(given) > 1:
        raise SettingsError(f"{' and '.join(given)} exclude each other: use one of them.")
    if request.denoise is not None:
        check_denoise(request.denoise)
    check_number("extend", request.extend, 0, MAX_SECONDS, unit=" s")
    check_number("feather", request.feather, 0, MAX_SECONDS, unit=" s")
    if request.extend and (request.seconds is not None or request.video is not None):
        other = "seconds" if request.video is None else "a video"
        raise SettingsError(f"extend and {other} both set the length: use one of them.")


def _check_mix(request: Request) -> None:
    check_number("gain", request.gain, -MAX_GAIN_DB, MAX_GAIN_DB, unit=" dB")
    check_number("duck", request.duck, 0, MAX_GAIN_DB, unit=" dB")
    if request.lufs is not None:
        check_number("lufs", request.lufs, MIN_LUFS, MAX_LUFS)
    if request.keep_original is not None:
        check_number("keep_original", request.keep_original, -MAX_GAIN_DB, MAX_GAIN_DB, unit=" dB")
        if request.video is None:
            raise SettingsError("keep_original is for the sound of a video: pass a video.")
    elif request.duck:
        raise SettingsError("duck turns the video's own sound down: set keep_original, too.")


def _check_loop(request: Request) -> None:
    """Raise SettingsError if a loop is asked for and an input has a beginning and an end."""
    if not request.loop:
        return
    if request.seconds is not None:
        check_loop(request.seconds)
    for name in ("video", "init_audio"):
        if getattr(request, name) is not None:
            raise SettingsError(
                f"A loop has no beginning and no end, but {name} has: leave out "
                f"[[--{name.replace('_', '-')} or --loop|{name} or loop]]. Text, an image and an "
                "audio prompt can be used."
            )
