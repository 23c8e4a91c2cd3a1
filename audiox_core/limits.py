"""The names and ranges of the settings of a run.

Nothing here imports PyTorch: the command line shows its help and refuses a wrong setting without
waiting for it.
"""

import re
from dataclasses import dataclass, replace
from numbers import Real
from typing import Literal, get_args

from .config import AudioXConfig, SamplingConfig
from .errors import SettingsError, check_number, shown

SOLVER_NAMES = (
    "dpmpp_3m_sde", "dpmpp_2m_sde", "dpmpp_2s_ancestral", "lcm", "heun", "dpm_2", "lms",
    "dpm_fast", "dpm_adaptive", "euler",
)  # fmt: skip
# also valid for a rectified flow, whose noise level ends at 1
FLOW_SOLVERS = ("lcm", "heun", "dpm_2", "lms", "euler")
MODEL_CALLS = {"dpmpp_2s_ancestral": 2, "heun": 2, "dpm_2": 2}  # in a step; one by the others
DTYPE_NAMES = ("float32", "float16", "bfloat16")  # of the transformer's weights
# of PyTorch, with the extensions of other makers
DEVICE_TYPES = ("cpu", "cuda", "mps", "xpu", "npu", "hpu", "mtia", "xla", "musa", "mlu")
ACCELERATIONS = ("off", "graph", "compile")  # of the transformer
STORED_DTYPE_NAMES = (*DTYPE_NAMES, "float8_e4m3fn", "float8_scaled")  # in a converted file

MIN_SECONDS, MAX_SECONDS = 0.1, 600  # of a sound
MIN_LOOP_SECONDS = 2  # shorter ones are heard as a rhythm or a tone
MAX_SAMPLE_RATE = 1_000_000  # Hz
MAX_START = 100_000  # seconds into a source
MAX_STEPS = 10_000
MAX_TAKES = 64  # of one run
MAX_SEED = 2**64 - 1
MAX_CFG = 100
MAX_SIGMA = 1_000_000
MIN_DENOISE = 0.001
MAX_GAIN_DB = 120
MAX_MIX_SECONDS = 3_600  # of layers
CEILING_DB = -1.0  # true peak: what AAC and Opus need so that decoded audio does not clip
LOWEST_CEILING = -40.0  # dB
ATTACK, RELEASE = 0.05, 0.4  # seconds, of ducking
Level = Literal["keep", "peak", "loudness"]  # of decoded audio
LEVELS = get_args(Level)
FEATHER_SECONDS = 0.1  # of the crossfade between known and generated audio
MIN_LUFS, MAX_LUFS = -70, 0  # EBU R 128 does not count what is softer


def resolve_sampling(config: AudioXConfig, **settings: object) -> SamplingConfig:
    """The model's own settings with those that are not None in their place; checked.

    Args:
        config: of the model.
        settings: fields of `SamplingConfig`.

    Raises:
        SettingsError: a value that no run can use.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    sampling = replace(config.sampling, **given)  # type: ignore[arg-type]
    check_sampling(sampling, config.objective)
    return sampling


def check_sampling(sampling: SamplingConfig, objective: str) -> None:
    """Raise SettingsError for settings that no run of this package can use."""
    check_numbers(sampling)
    if sampling.sampler not in SOLVER_NAMES:
        names = ", ".join(SOLVER_NAMES)
        raise SettingsError(f"Unknown sampler {sampling.sampler!r}: choose one of {names}.")
    if objective == "rectified_flow" and sampling.sampler not in FLOW_SOLVERS:
        names = ", ".join(FLOW_SOLVERS)
        raise SettingsError(
            f"{sampling.sampler} does not support rectified flow models: use one of {names}."
        )


def check_numbers(sampling: SamplingConfig) -> None:
    """Raise SettingsError for numbers that no sampler can use, ours or a host's."""
    check_number("steps", sampling.steps, 1, MAX_STEPS, whole=True)
    check_number("cfg", sampling.cfg, 0, MAX_CFG, ", usually 3 to 8")
    check_number("cfg_rescale", sampling.cfg_rescale, 0, 1)
    check_number("sigma_min", sampling.sigma_min, 0, MAX_SIGMA)
    check_number("sigma_max", sampling.sigma_max, 0, MAX_SIGMA)


def check_seed(seed: int) -> None:
    """Raise SettingsError for a seed that is out of range."""
    check_number("The seed", seed, 0, MAX_SEED, whole=True)


def check_device_name(name: str) -> None:
    """Raise SettingsError for a text that names no device; whether it is there is not checked."""
    kind, colon, number = name.partition(":") if isinstance(name, str) else ("", "", "")
    if kind not in DEVICE_TYPES or not re.fullmatch(r"\d{1,4}" if colon else "", number):
        raise SettingsError(f"Unknown device {shown(name)}: use cpu, cuda, cuda:1 or mps.")


def check_denoise(denoise: float) -> None:
    """Raise SettingsError for a share of the schedule that is out of range."""
    check_number("denoise", denoise, MIN_DENOISE, 1)


def check_seconds(seconds: float) -> None:
    """Raise SettingsError for a length in seconds that cannot be generated, or NaN."""
    long = isinstance(seconds, Real) and seconds > MAX_SECONDS
    hint = ". For a part of a video, set its start and length" if long else ""
    check_number("The length", seconds, MIN_SECONDS, MAX_SECONDS, hint, unit=" s")


def check_loop(seconds: float) -> None:
    """Raise SettingsError for a length that a loop cannot have."""
    check_seconds(seconds)
    check_number("The length of a loop", seconds, MIN_LOOP_SECONDS, MAX_SECONDS, unit=" s")


@dataclass(frozen=True)
class GuidanceWeights:
    """The guidance scale of each modality; 0 removes what it adds to the ones before it."""

    text: float
    video: float
    audio: float


def check_guidance(weights: GuidanceWeights, config: AudioXConfig) -> None:
    """Check the weights of a run.

    Args:
        weights: of the three modalities.
        config: of the model.

    Raises:
        SettingsError: a weight out of range, or a model that was distilled to run without guidance.
    """
    for name, weight in vars(weights).items():
        check_number(f"{name}_guidance", weight, 0, MAX_CFG, ", usually 0 to 8")
    if config.sampling.cfg == 1:
        raise SettingsError(
            f"{config.variant} was distilled to run without guidance (cfg 1), so it has no guidance"
            " by modality: [[leave out --text-guidance, --video-guidance and --audio-guidance|use "
            "AudioX Sampler, or CFGGuider with cfg 1]] and lower a strength instead, or use "
            "another AudioX model."
        )


def length_from(name: str, total: float, start: float, seconds: float | None = None) -> float:
    """The length of a part of a video.

    Args:
        name: of the video, for messages.
        total: seconds of the video.
        start: of the part, seconds.
        seconds: of the part; None, or more than there is, goes to the end.

    Returns:
        The seconds from `start` on, at most `seconds`.

    Raises:
        SettingsError: the video ends before `start`, or the length is out of range.
    """
    if total < MIN_SECONDS:
        raise SettingsError(
            f"{name} is {total:.2f} s long, but at least {MIN_SECONDS:g} s is needed: "
            "give a still picture with [[--image|AudioX Encode Image]]."
        )
    if not 0 <= start < total:
        raise SettingsError(
            f"{name} is {total:.2f} s long, but the start is {start:g} s: use an earlier start."
        )
    rest = total - start
    length = rest if seconds is None else min(seconds, rest)
    check_seconds(length)
    return length
