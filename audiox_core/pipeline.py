"""The whole road on one page: files, features, conditioning, latents, audio, soundtrack.

Time is seconds at every boundary. Axes: `b` batch, `c` channels, `t` latent frames, `n` audio
samples, `s` tokens, `d` width.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from .checkpoint import Checkpoint, load_checkpoint
from .conditioners.assemble import Conditioning, assemble
from .conditioners.audio import encode_audio
from .conditioners.masking import Span
from .conditioners.text import encode_text
from .conditioners.video import encode_image, encode_video
from .config import SamplingConfig
from .diffusion.guidance import guided
from .diffusion.noise import NoiseSampler, initial_noise, step_noise, stream
from .diffusion.objectives import OnStep, Predict, v_denoiser
from .diffusion.samplers import SOLVERS, solve
from .diffusion.schedules import polyexponential
from .errors import AudioXError, SettingsError
from .media.audio import peak_normalize, read_audio, write_audio
from .media.mux import VIDEO_SUFFIXES, mux_soundtrack
from .media.video import probe_video, read_frames, read_image
from .models.dit import DiT
from .models.oobleck import Oobleck

logger = logging.getLogger(__name__)

MIN_SECONDS = 0.1
MAX_STEPS = 10_000


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
    seed: int = 0
    steps: int | None = None
    cfg: float | None = None
    cfg_rescale: float | None = None
    sampler: str | None = None
    timing: Literal["true", "reference"] = "true"  # how frames are picked: media/video.py


@dataclass(frozen=True)
class Soundtrack:
    """What a run made: `waveform` is `2 n`; `video` and `start` say which picture it belongs to."""

    waveform: Tensor
    sample_rate: int
    video: Path | None = None
    start: float = 0.0
    whole: bool = True  # it accompanies the whole video, not a piece of it

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return self.waveform.shape[-1] / self.sample_rate

    def save(self, path: str | Path) -> None:
        """Write `.wav` or `.flac`, or a copy of the video with this sound (`.mp4 .mov .mkv .webm`).

        Raises:
            MediaError: the file cannot be written, or its container cannot hold the picture.
            SettingsError: a video is asked for and there was none.
        """
        path = Path(path)
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            write_audio(path, self.waveform, self.sample_rate)
        elif self.video is None:
            raise SettingsError(
                f"{path.name} is a video and there is no picture for it: "
                "give a video, or write a .wav or .flac file."
            )
        else:
            piece = {} if self.whole else {"start": self.start, "seconds": self.seconds}
            mux_soundtrack(self.video, self.waveform, self.sample_rate, path, **piece)


class Pipeline:
    """A loaded model and the steps from a request to a soundtrack."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    @torch.no_grad()
    def generate(self, request: Request, on_step: OnStep = lambda *_: None) -> Soundtrack:
        """Files in, soundtrack out.

        Args:
            request: what shall sound.
            on_step: called at each step with its index, the noisy latent and the clean estimate.

        Raises:
            AudioXError: one line that says what was found, expected, and what to do.
        """
        sampling = self.sampling(request)
        seconds = self.seconds(request)
        conditioning = self.conditioning(request)
        latent = self.latent(request, sampling, conditioning, on_step)
        waveform = decode(self.checkpoint.vae, latent)[0]
        grid = self.checkpoint.config.latent
        return Soundtrack(
            _audible(waveform[:, : grid.samples(seconds)].cpu()),
            grid.sample_rate,
            video=None if request.video is None else Path(request.video),
            start=request.start,
            whole=request.start == 0 and request.seconds is None,
        )

    def sampling(self, request: Request) -> SamplingConfig:
        """The model's own settings, where the request does not say otherwise; checked."""
        names = ("steps", "cfg", "cfg_rescale", "sampler")
        asked = {name: value for name in names if (value := getattr(request, name)) is not None}
        sampling = replace(self.checkpoint.config.sampling, **asked)
        check_sampling(sampling)
        if not 0 <= request.seed < 2**64:
            raise SettingsError(f"The seed {request.seed} is out of range: 0 to 2^64 - 1.")
        return sampling

    def seconds(self, request: Request) -> float:
        """Length of the soundtrack, checked against the video and the model's window."""
        longest = self.checkpoint.config.latent.window_seconds
        if not (isfinite(request.start) and request.start >= 0):
            raise SettingsError(f"A start of {request.start} s was given: it is 0 or later.")
        seconds = request.seconds
        if request.video is not None:
            info = probe_video(Path(request.video))
            if request.start >= info.seconds:
                raise SettingsError(
                    f"{info.path.name} is {info.seconds:.2f} s long and the start is "
                    f"{request.start:g} s: choose an earlier --start."
                )
            if seconds is None and info.seconds - request.start > longest:
                raise SettingsError(
                    f"{info.path.name} is {info.seconds:.2f} s long and one run makes at most "
                    f"{longest:.2f} s: choose a part with --start and --seconds."
                )
            seconds = info.seconds - request.start if seconds is None else seconds
        elif request.start:
            raise SettingsError("A start was given without a video: it counts in the video's time.")
        if seconds is None:
            return self.checkpoint.config.latent.described_seconds
        if not MIN_SECONDS <= seconds <= longest:
            raise SettingsError(
                f"{seconds:g} seconds were asked for: one run makes {MIN_SECONDS} to "
                f"{longest:.2f} s. For a part of a longer video use --start and --seconds."
            )
        return seconds

    def conditioning(self, request: Request) -> Conditioning:
        """Files -> features -> both branches of guidance."""
        if not (request.prompt or request.video or request.image or request.audio):
            raise SettingsError("There is nothing to go by: give a prompt, video, image or audio.")
        shown = {"video": request.video or request.image, "audio": request.audio}
        if blind := [name for name in request.hide if not shown.get(name)]:
            raise SettingsError(
                f"There is no {blind[0]} to hide a part of: give one, or hide less."
            )
        text = self.checkpoint.conditioners.text
        return assemble(
            self.checkpoint.conditioners,
            text=encode_text(text, request.prompt) if request.prompt else None,
            negative=encode_text(text, request.negative) if request.negative else None,
            video=self.picture_features(request),
            audio=self.audio_features(request),
            text_strength=request.text_strength,
            video_strength=request.video_strength,
            audio_strength=request.audio_strength,
        )

    def picture_features(self, request: Request) -> Tensor | None:
        """Video or image -> `1 s d`."""
        if request.video is not None and request.image is not None:
            raise SettingsError("A video and an image were given: the model reads one of them.")
        conditioner, config = self.checkpoint.conditioners.video, self.checkpoint.config.video
        hide = tuple(request.hide.get("video", ()))
        if request.image is not None:
            return encode_image(conditioner, read_image(Path(request.image)), hide)
        if request.video is None:
            return None
        frames = read_frames(
            Path(request.video),
            start=request.start,
            count=config.frames,
            fps=config.fps,
            size=config.clip.image,
            timing=request.timing,
            end=None if request.seconds is None else request.start + request.seconds,
        )
        return encode_video(conditioner, frames, hide)

    def audio_features(self, request: Request) -> Tensor | None:
        """A sound prompt -> `1 s d`; its latent is drawn with the seed, as in training."""
        if request.audio is None:
            return None
        config, conditioners = self.checkpoint.config, self.checkpoint.conditioners
        seconds, rate = config.latent.described_seconds, config.latent.sample_rate
        shape = (1, config.latent.channels, config.audio_tokens)
        noise = torch.randn(shape, generator=stream(request.seed, "audio prompt"))
        return encode_audio(
            conditioners.audio,
            self.checkpoint.vae,
            read_audio(Path(request.audio), sample_rate=rate, seconds=seconds),
            samples=config.latent.samples(seconds),
            sample_rate=rate,
            hide=tuple(request.hide.get("audio", ())),
            noise=noise.to(self.checkpoint.device),
        )

    def latent(
        self, request: Request, sampling: SamplingConfig, conditioning: Conditioning,
        on_step: OnStep,
    ) -> Tensor:  # fmt: skip
        """Noise -> `1 c t`, one window."""
        grid = self.checkpoint.config.latent
        noise = initial_noise((1, grid.channels, grid.window), request.seed)
        noise = noise.to(self.checkpoint.device)
        return sample(
            self.checkpoint.model,
            conditioning,
            noise,
            sampling=sampling,
            fresh_noise=step_noise(noise, request.seed),
            on_step=on_step,
        )


def sample(
    model: DiT, conditioning: Conditioning, noise: Tensor, *, sampling: SamplingConfig,
    fresh_noise: NoiseSampler, on_step: OnStep = lambda *_: None,
) -> Tensor:  # fmt: skip
    """Noise -> clean latents.

    Args:
        model: predicts v; computes in its own dtype, the solver in float32.
        conditioning: both branches.
        noise: standard normal, `b c t`.
        sampling: steps, guidance, solver and sigma range.
        fresh_noise: of the SDE solvers.
        on_step: as in `Pipeline.generate`.
    """
    denoise = v_denoiser(predictor(model, conditioning, len(noise), sampling))
    sigmas = polyexponential(sampling.steps, sampling.sigma_min, sampling.sigma_max)
    start = noise * sigmas[0].item()
    return solve(sampling.sampler, denoise, start, sigmas, noise=fresh_noise, on_step=on_step)


def predictor(
    model: DiT, conditioning: Conditioning, batch: int, sampling: SamplingConfig
) -> Predict:
    """The guided network of one run; what does not change from step to step is computed here.

    Args:
        model, conditioning: as in `sample`.
        batch: items that are denoised together.
        sampling: of which cfg and its rescale count.
    """
    dtype = next(model.to_cond_embed.parameters()).dtype
    positive, negative = (
        tokens.to(dtype) for tokens in (conditioning.positive, conditioning.negative)
    )
    if sampling.cfg == 1:
        context = model.prepare(positive)
    elif negative.any():
        halves = [tokens.expand(batch, -1, -1) for tokens in (positive, negative)]
        context = model.prepare(torch.cat(halves))
    else:
        context = model.prepare(positive, conditioned=batch)

    def predict(x: Tensor, t: Tensor) -> Tensor:
        return model(x.to(dtype), t, context).float()

    return predict if sampling.cfg == 1 else guided(predict, sampling.cfg, sampling.cfg_rescale)


def decode(vae: Oobleck, latent: Tensor) -> Tensor:
    """Latents `b c t` -> audio `b 2 n`, one by one: at full rate the last layers take gigabytes."""
    return torch.cat([vae.decode(item[None].float()) for item in latent])


def generate(
    request: Request, checkpoint: Checkpoint | None = None, on_step: OnStep = lambda *_: None
) -> Soundtrack:
    """One soundtrack from one call; the embedded model where no checkpoint is given."""
    return Pipeline(checkpoint or load_checkpoint()).generate(request, on_step)


def check_sampling(sampling: SamplingConfig) -> None:
    """Raise SettingsError for numbers that no run can use."""
    if not 1 <= sampling.steps <= MAX_STEPS:
        raise SettingsError(f"{sampling.steps} steps were asked for: take 1 to {MAX_STEPS:,}.")
    if sampling.sampler not in SOLVERS:
        raise SettingsError(f"There is no sampler {sampling.sampler!r}: take {', '.join(SOLVERS)}.")
    if not (isfinite(sampling.cfg) and 0 <= sampling.cfg <= 100):
        raise SettingsError(f"A cfg of {sampling.cfg} was given: take 0 to 100, usually 3 to 8.")
    if not 0 <= sampling.cfg_rescale <= 1:
        raise SettingsError(f"A cfg rescale of {sampling.cfg_rescale} was given: take 0 to 1.")


def _audible(waveform: Tensor) -> Tensor:
    """Keep the level, unless it would clip; refuse what is no sound."""
    peak = waveform.abs().max().item()
    if not isfinite(peak):
        raise AudioXError(
            "The model's numbers ran over: use float32, a lower cfg, or another sampler."
        )
    if peak > 1:
        logger.info("The sound peaked at %.2f of full scale and was turned down to 1.", peak)
        return peak_normalize(waveform)
    return waveform
