"""What to generate and how: all settings of a run, checked before anything is computed."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..conditioners.inputs import Span, TimeRange, check_prompt, check_spans
from ..config import AudioXConfig, LatentConfig, SamplingConfig
from ..errors import SettingsError, check_number, shown
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
from ..paths import local_path

if TYPE_CHECKING:
    from ..media.clip import Clip
    from ..media.sound import Sound

SAMPLING = ("steps", "cfg", "cfg_rescale", "sampler")  # fields of a request and of SamplingConfig
STRENGTHS = ("text_strength", "video_strength", "audio_strength")
GUIDANCE = ("text_guidance", "video_guidance", "audio_guidance")
_ANY_MODEL = AudioXConfig()  # its limits are those of every model
VARIATION = ("denoise", "init_noise_level", "inpaint", "extend")  # ways to change existing audio
DENOISE = 0.5  # of a variation, where the request does not say
# inputs -> attributes of what may be in memory, and how it is made
_IN_MEMORY = {
    "video": (("frames",), "clip_from_images(frames, fps)"),
    "image": (("shape", "__array_interface__"), "an array of height x width x 3"),
    "audio": (("waveform",), "Sound(waveform, sample_rate)"),
    "init_audio": (("waveform",), "Sound(waveform, sample_rate)"),
}
MAX_SIGMA = {"v": 10_000.0, "rectified_flow": 1.0}  # of init_noise_level, by objective


@dataclass(frozen=True)
class Request:
    """The inputs of a run and its settings; those that are None are the model's own.

    Args:
        prompt: description of the sound, in English.
        negative: sounds to avoid.
        prompts: start and end in seconds, and text; `prompt` is for everywhere else.
        crossfade: seconds at each border of `prompts`.
        video: a file, or frames in memory: `clip_from_images(frames, fps)`.
        image: a file, or pixels: an array, a tensor, or an image of Pillow.
        audio: a sound or music prompt, of which the first ten seconds count: a file, or samples:
            `Sound(waveform, sample_rate)`.
        text_strength, video_strength, audio_strength: 0 is absent, 1 is present.
        hide: "video" or "audio" -> spans in seconds that the model does not see or hear.
        start: seconds into the video.
        seconds: length; None is to the end of the video, and without a video ten.
        loop: the sound can be repeated without a seam, and has exactly this length.
        init_audio: a sound to vary or to inpaint; a file, `Sound` or `Soundtrack`.
        denoise: how much of it is generated, 0..1; None is half.
        init_noise_level: the same as a sigma to start from, in its place.
        inpaint: spans of it in seconds that are generated; the rest is kept.
        extend: seconds to add after it; without `audio`, its last ten are the prompt.
        feather: seconds of the crossfade between kept and generated audio.
        gain: of the generated sound, dB.
        keep_original: gain of the video's own sound, dB; None replaces it.
        duck: dB by which it is turned down while the generated sound is loud.
        lufs: loudness of the result; None keeps its level.
        takes: sounds of one run, each with noise of its own.
        seed: of all noise.
        steps, cfg, cfg_rescale, sampler: of sampling.
        text_guidance, video_guidance, audio_guidance: the guidance scale of each modality, in place
            of cfg; if one is set, None is cfg.
        timing: how frames are picked, see `media.video`.
    """

    prompt: str = ""
    negative: str = ""
    prompts: tuple[tuple[float, float, str], ...] = ()
    crossfade: float = 0.5
    video: "str | Path | Clip | None" = None
    image: Any = None
    audio: "str | Path | Sound | None" = None
    text_strength: float = 1.0
    video_strength: float = 1.0
    audio_strength: float = 1.0
    hide: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    start: float = 0.0
    seconds: float | None = None
    loop: bool = False
    init_audio: "str | Path | Sound | None" = None
    denoise: float | None = None
    init_noise_level: float | None = None
    inpaint: tuple[Span, ...] = ()
    extend: float = 0.0
    feather: float = FEATHER_SECONDS
    gain: float = 0.0
    keep_original: float | None = None
    duck: float = 0.0
    lufs: float | None = None
    takes: int = 1
    seed: int = 0
    steps: int | None = None
    cfg: float | None = None
    cfg_rescale: float | None = None
    text_guidance: float | None = None
    video_guidance: float | None = None
    audio_guidance: float | None = None
    sampler: str | None = None
    timing: Literal["true", "reference"] = "true"

    def __repr__(self) -> str:
        """What differs from the defaults."""
        names = [name for name, given in vars(self).items() if not _is_default(name, given)]
        return f"Request({', '.join(f'{name}={_brief(getattr(self, name))}' for name in names)})"


def _is_default(name: str, value: Any) -> bool:
    default = Request.__dataclass_fields__[name].default
    if hasattr(value, "shape"):  # comparing it would compare its numbers
        return False
    return value is default or value == (default if default is not MISSING else {})


def _brief(value: Any) -> str:
    """A value without the numbers of arrays."""
    shape = getattr(value, "shape", None)
    return shown(value) if shape is None else f"<{type(value).__name__} {tuple(shape)}>"


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
    _check_types(request)
    for name in ("prompt", "negative"):
        check_prompt(getattr(request, name))
    for start, end, text in request.prompts:
        TimeRange(start, end, request.crossfade).check()
        check_prompt(text)
    for name in STRENGTHS:
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


def _check_types(request: Request) -> None:
    """Raise SettingsError for what is no request, and for values of another type."""
    if not isinstance(request, Request):
        raise SettingsError(
            f"The request is a {type(request).__name__}: pass a Request, such as "
            'Request(prompt="rain").'
        )
    if not isinstance(request.prompts, tuple | list) or not all(
        isinstance(item, tuple | list) and len(item) == 3 for item in request.prompts
    ):
        raise SettingsError(
            f"prompts is {shown(request.prompts)}: it must be a list of start, end and text, such "
            'as ((0, 4, "rain"),).'
        )
    if request.loop not in (True, False):
        raise SettingsError(f"loop is {shown(request.loop)}: use True or False.")
    if request.timing not in ("true", "reference"):
        raise SettingsError(f"timing is {shown(request.timing)}: use 'true' or 'reference'.")
    for name, (attributes, instead) in _IN_MEMORY.items():
        value = getattr(request, name)
        if isinstance(value, str | Path):
            local_path(value)
        elif value is not None and not any(hasattr(value, name) for name in attributes):
            raise SettingsError(
                f"{name} is a {type(value).__name__}: pass the path of a file, or {instead}."
            )


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
    picture = request.image if request.video is None else request.video
    sources = {"video": picture, "audio": request.audio}
    named = (request.init_audio, *sources.values())
    if not (request.prompt.strip() or request.prompts) and all(given is None for given in named):
        raise SettingsError("The request has no input: pass a prompt, a video, an image or audio.")
    if not isinstance(request.hide, Mapping):
        raise SettingsError('hide is not a table: use {"video": ((0, 2),)}, "audio", or both.')
    for name, spans in request.hide.items():
        if sources.get(name) is None:
            raise SettingsError(f"There is no {name} to hide: pass one, or change hide.")
        check_spans(spans)
    if request.video is not None and request.image is not None:
        raise SettingsError("A video and an image were given: use only one of them.")
    if request.start and request.video is None:
        raise SettingsError("start is a time in a video: pass a video, or leave start out.")


def _check_variation(request: Request) -> None:
    """Raise SettingsError if init audio is missing, or more than one way to change it is set."""
    check_spans(request.inpaint)
    unset = {"inpaint": request.inpaint or None, "extend": request.extend or None}
    given = [n for n in VARIATION if unset.get(n, getattr(request, n)) is not None]
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
                f"A loop has no beginning and no end, but {name} has both: leave out "
                f"[[--{name.replace('_', '-')} or --loop|{name} or loop]]. Text, an image and an "
                "audio prompt can be used."
            )
