"""Estimates of how long the stages of a run take, for its progress.

A stage is as long as its arithmetic, at a speed that is typical of the kind of device. Only the
ratios of the stages matter: a faster device moves the same bar faster.
"""

from ..config import AudioXConfig, MMDiTConfig, OobleckConfig, SamplingConfig, SynchformerConfig
from ..limits import MODEL_CALLS
from ..windows import plan
from .request import Request, has_audio_prompt

# FLOP in a second
SPEEDS = {"cpu": 1e11, "mps": 2e12}
FASTEST = 3e13  # of other devices
OVERHEAD = 1e-3  # seconds of each call of a model, however small it is
READING = 0.5  # seconds for the frames of a window
FINISHING, WRITING = 0.002, 0.01  # seconds for a second of sound
READ_BYTES = 5e8  # of weights in a second


def stage_seconds(
    config: AudioXConfig, request: Request, seconds: float, sampling: SamplingConfig, device: str
) -> dict[str, float]:
    """The stages of `Pipeline.generate` for a request, and the estimated time of each.

    Args:
        config: of the model.
        request: its inputs decide which stages there are.
        seconds: length of the sound.
        sampling: the settings of the run.
        device: the type of the device, such as `cpu` or `cuda`.
    """
    speed = SPEEDS.get(device, FASTEST)
    windows, text = plan(config.latent, seconds).windows, config.text
    frames = config.latent.window

    def at_speed(flop: float, calls: int = 1) -> float:
        return flop / speed + calls * OVERHEAD

    prompts = 1 + len(request.prompts)
    reading = transformer_flop(text.depth, text.width, config.text_tokens)
    stages = {"encoding the text": at_speed(prompts * reading, prompts)}
    if request.video is not None or request.image is not None:
        pictures = 2 if request.video is None else config.video.frames
        count = 1 if request.video is None else windows
        clip, sync = config.video.clip, config.video.sync
        flop = pictures * transformer_flop(clip.depth, clip.width, clip.tokens)
        if sync is not None:
            flop += sync.segments * _segment_flop(sync.encoder)
        kind = "image" if request.video is None else "video"
        stages[f"encoding the {kind}"] = count * (READING + at_speed(flop))
    if has_audio_prompt(request):
        stages["encoding the audio prompt"] = at_speed(oobleck_flop(config.vae, frames))
    if request.init_audio is not None:
        stages["encoding the existing audio"] = at_speed(oobleck_flop(config.vae, windows * frames))
    calls = sampling.steps * MODEL_CALLS.get(sampling.sampler, 1) * windows * prompts
    branches = 1 if sampling.cfg == 1 else 2
    step = branches * window_flop(config)
    decoding = oobleck_flop(config.vae, windows * frames)
    stages["sampling"] = at_speed(request.takes * calls * step, calls)
    stages["decoding"] = at_speed(request.takes * decoding, windows)
    stages["finishing"] = request.takes * FINISHING * seconds
    return stages


def load_seconds(nbytes: int) -> float:
    """The estimated time of loading weights of so many bytes."""
    return nbytes / READ_BYTES


def write_seconds(seconds: float) -> float:
    """The estimated time of writing a sound of so many seconds."""
    return WRITING * seconds


def window_flop(config: AudioXConfig) -> float:
    """The arithmetic of the diffusion transformer for one window."""
    dit, frames = config.dit, config.latent.window
    positions = frames + (config.tokens if isinstance(dit, MMDiTConfig) else 0)
    return transformer_flop(dit.depth, dit.width, positions)


def transformer_flop(depth: int, width: int, positions: int) -> float:
    """The arithmetic of a transformer: attention's projections and a feed-forward of 4 times."""
    return 2 * 12 * depth * width**2 * positions


def oobleck_flop(config: OobleckConfig, frames: int) -> float:
    """The arithmetic of the VAE's decoder, or of its encoder, for latent frames."""
    flop, samples = 0.0, float(frames)
    widths = [config.channels * factor for factor in reversed(config.multipliers)]
    for wide, narrow, stride in zip(
        widths, [*widths[1:], widths[-1]], reversed(config.strides), strict=True
    ):
        samples *= stride
        # a transposed convolution with a kernel of two strides; three units of kernels 7 and 1
        flop += 2 * samples * (2 * wide * narrow + 3 * 8 * narrow**2)
    return flop


def _segment_flop(config: SynchformerConfig) -> float:
    """Attention over time and over space, so a third more than a plain transformer."""
    places = (config.image // config.patch) ** 2 * config.segment // config.patch_frames
    return 4 / 3 * transformer_flop(config.depth, config.width, places)
