"""The whole road on one page: files, features, conditioning, latents, audio, soundtrack.

Time is seconds at every boundary. Axes: `b` batch, `c` channels, `t` latent frames, `n` audio
samples, `s` tokens, `d` width.
"""

import logging
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from math import ceil, isfinite
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..checkpoint import Checkpoint, load_checkpoint
from ..conditioners.assemble import Conditioning, assemble
from ..conditioners.audio import encode_audio
from ..conditioners.masking import Span
from ..conditioners.missing import check_present
from ..conditioners.text import encode_text
from ..conditioners.video import (
    encode_image,
    encode_sync,
    encode_video,
    still_clip,
)
from ..config import LatentConfig, SamplingConfig
from ..diffusion.inpaint import begin_inpainting, keep_init_latent, paste_back, soft_mask
from ..diffusion.noise import NoiseSampler, initial_noise, step_noise, stream, unit_noise
from ..diffusion.objectives import OBJECTIVES, OnStep
from ..diffusion.samplers import solve
from ..errors import SettingsError
from ..media.audio import read_audio
from ..media.video import frame_grids, probe_video, read_grids, read_image
from ..models import Backbone
from ..models.oobleck import OVERLAP, Oobleck, decode_chunked, encode_chunked
from ..variants import advice
from ..windows import Plan, plan, plan_frames, spans_in_window
from .cache import FeatureCache, content_key, weights_key
from .predictor import predictor
from .request import Request, check_known, check_sampling, start_sigmas
from .soundtrack import Soundtrack, audible

logger = logging.getLogger(__name__)

MIN_SECONDS, MAX_SECONDS = 0.1, 600.0
GRID = LatentConfig()  # of v1
JOIN_SECONDS = 0.02  # of the crossfade between known and new samples


class Pipeline:
    """A loaded model and the steps from a request to a soundtrack."""

    def __init__(self, checkpoint: Checkpoint, cache: FeatureCache | None = None) -> None:
        """`cache`: of video and image features, for several requests on the same picture."""
        self.checkpoint, self.cache = checkpoint, cache
        self.grid = checkpoint.config.latent

    @torch.no_grad()
    def generate(self, request: Request, on_step: OnStep = lambda *_: None) -> Soundtrack:
        """Files in, soundtrack out.

        Args:
            request: what shall sound.
            on_step: called at each step with its index, the noisy latent and the denoised estimate.

        Raises:
            AudioXError: one line that says what was found, expected, and what to do.
        """
        sampling = self.sampling(request)
        if unusual := advice(self.checkpoint.config, sampling):
            logger.warning("%s", unusual)
        known = self.known_samples(request)
        seconds = self.seconds(request, known)
        windows = plan(self.grid, seconds)
        conditioning = self.conditioning(request, windows)
        latent = self.latent(request, sampling, windows, conditioning, known=known, on_step=on_step)
        samples = self.grid.samples(seconds)
        # frames behind the end, as far as the decoder sees; the rest need not be decoded
        frames = ceil(samples / self.grid.hop_length) + OVERLAP // 2
        waveform = decode(self.checkpoint.vae, latent[..., :frames])[0, :, :samples].cpu()
        waveform = audible(waveform)  # before the known samples join: they stay as they are
        if request.inpaint and known is not None:
            waveform = self.with_known_samples(request, waveform, known)
        return Soundtrack(
            waveform,
            self.grid.sample_rate,
            video=None if request.video is None else Path(request.video),
            start=request.start,
            whole=request.start == 0 and request.seconds is None,
        )

    def sampling(self, request: Request) -> SamplingConfig:
        """The model's own settings, where the request does not say otherwise; checked."""
        names = ("steps", "cfg", "cfg_rescale", "sampler")
        asked = {name: value for name in names if (value := getattr(request, name)) is not None}
        sampling = replace(self.checkpoint.config.sampling, **asked)
        check_sampling(request, sampling, self.checkpoint.config.objective)
        check_known(request, sampling)
        return sampling

    def seconds(self, request: Request, known: Tensor | None = None) -> float:
        """Length of the soundtrack, checked against its source."""
        source, available = self._source(request, known)
        if available is not None and request.start >= available:
            raise SettingsError(
                f"{source} is {available:.2f} s long and the start is {request.start:g} s: "
                "choose an earlier --start."
            )
        seconds = request.seconds
        if seconds is None:
            seconds = self.grid.conditioned_seconds
            seconds = seconds if available is None else available - request.start
        elif request.video is not None and seconds > available - request.start:
            logger.warning("%s ends at %.2f s: the sound ends there, too.", source, available)
            seconds = available - request.start
        if not MIN_SECONDS <= seconds <= MAX_SECONDS:
            raise SettingsError(
                f"{seconds:g} seconds were asked for: one run makes {MIN_SECONDS} to "
                f"{MAX_SECONDS:g} s. For a part of a longer video use --start and --seconds."
            )
        if late := [begin for begin, _ in request.inpaint if begin >= seconds]:
            raise SettingsError(
                f"There is nothing to inpaint at {late[0]:g} s: the sound ends at {seconds:.2f} s."
            )
        return seconds

    def _source(self, request: Request, known: Tensor | None) -> tuple[str, float | None]:
        """What sets the length, and how long it is."""
        if not (isfinite(request.start) and request.start >= 0):
            raise SettingsError(f"A start of {request.start} s was given: it is 0 or later.")
        if request.video is not None:
            info = probe_video(Path(request.video))
            return info.path.name, info.seconds
        if request.start:
            raise SettingsError("A start was given without a video: it counts in the video's time.")
        if known is not None:
            return Path(request.init_audio).name, known.shape[-1] / self.grid.sample_rate
        return "", None

    def conditioning(self, request: Request, windows: Plan) -> Conditioning:
        """Files -> features -> both branches of guidance."""
        shown = {"video": request.video or request.image, "audio": request.audio}
        prompt, negative = _said(request.prompt), _said(request.negative)
        if not any((prompt, request.init_audio, *shown.values())):
            raise SettingsError("There is nothing to go by: give a prompt, video, image or audio.")
        if blind := [name for name in request.hide if not shown.get(name)]:
            raise SettingsError(
                f"There is no {blind[0]} to hide a part of: give one, or hide less."
            )
        text = self.checkpoint.conditioners.text
        return assemble(
            self.checkpoint.conditioners,
            text=encode_text(text, prompt) if prompt else None,
            negative=encode_text(text, negative) if negative else None,
            video=self.picture_features(request, windows),
            audio=self.audio_features(request),
            absent_audio=lambda: self.absent_audio,
            text_strength=request.text_strength,
            video_strength=request.video_strength,
            audio_strength=request.audio_strength,
        )

    def picture_features(self, request: Request, windows: Plan) -> Tensor | None:
        """Video -> `w s d`, image -> `1 s d`."""
        if request.video is not None and request.image is not None:
            raise SettingsError("A video and an image were given: the model reads one of them.")
        source = request.video or request.image
        if source is None:
            return None
        check_present(self.checkpoint.conditioners.sync)
        see = partial(self.see, request, windows)
        if self.cache is None:
            return see()
        try:
            key = self._picture_key(request, windows)
        except OSError:  # no such file, for which the reader has better words
            return see()
        return self.cache.get(key, see).to(self.checkpoint.device)

    def see(self, request: Request, windows: Plan) -> Tensor:
        """The video or the image of a request, through CLIP and, where there is, Synchformer."""
        conditioner, config = self.checkpoint.conditioners.video, self.checkpoint.config.video
        hide = tuple(request.hide.get("video", ()))
        if request.image is not None:
            image = read_image(Path(request.image))
            clips = [] if config.sync is None else [still_clip(image, config.sync)]
            return encode_image(conditioner, image, hide, sync=self.look_twice(clips, hide))
        end = None if request.seconds is None else request.start + request.seconds
        features = []
        for begin in windows.start_seconds:
            frames, *clips = read_grids(
                Path(request.video),
                frame_grids(config),
                start=request.start + begin,
                timing=request.timing,
                end=end,
            )
            hidden = spans_in_window(hide, begin)
            sync = self.look_twice(clips, hidden)
            features.append(encode_video(conditioner, frames, hidden, sync=sync))
        return torch.cat(features)

    def look_twice(self, clips: Sequence[Tensor], hide: tuple[Span, ...]) -> Tensor | None:
        """Frames of a window for Synchformer -> its features; None of a model that has none."""
        if not clips:
            return None
        fps = self.checkpoint.config.video.sync.fps
        return encode_sync(self.checkpoint.conditioners.sync, clips[0], fps, hide)

    def _picture_key(self, request: Request, windows: Plan) -> Hashable:
        """All that the features of a picture depend on."""
        checkpoint = self.checkpoint
        eyes = (checkpoint.conditioners.video, checkpoint.conditioners.sync)
        model = (checkpoint.variant, checkpoint.path, checkpoint.config.video, checkpoint.device)
        hide = tuple(request.hide.get("video", ()))
        if request.image is not None:
            picture = ("image", content_key(request.image), hide)
        else:
            when = (windows.start_seconds, request.start, request.seconds, request.timing)
            picture = ("video", content_key(request.video), hide, when)
        return (*model, *(weights_key(eye) for eye in eyes if eye is not None), *picture)

    def audio_features(self, request: Request) -> Tensor | None:
        """A sound prompt -> `1 s d`; its latent is drawn with the seed, as in training."""
        if request.audio is None:
            return None
        seconds, rate = self.grid.conditioned_seconds, self.grid.sample_rate
        shape = (1, self.grid.channels, self.checkpoint.config.prompt_latents)
        noise = unit_noise(shape, stream(request.seed, "audio prompt"))
        return encode_audio(
            self.checkpoint.conditioners.audio,
            self.checkpoint.vae,
            read_audio(Path(request.audio), sample_rate=rate, seconds=seconds),
            samples=self.grid.samples(seconds),
            sample_rate=rate,
            hide=tuple(request.hide.get("audio", ())),
            noise=noise.to(self.checkpoint.device),
        )

    @cached_property
    def absent_audio(self) -> Tensor:
        """What no audio prompt is for this model, `1 s d`; some have to encode silence for it."""
        return self.checkpoint.conditioners.audio.absent(self.checkpoint.vae)

    def known_samples(self, request: Request) -> Tensor | None:
        """The sound to begin from, `2 n`; a little more than can be made where it is longer."""
        if request.init_audio is None:
            return None
        seconds = (request.seconds or MAX_SECONDS) + MIN_SECONDS
        return read_audio(
            Path(request.init_audio), sample_rate=self.grid.sample_rate, seconds=seconds
        )

    def latent(
        self, request: Request, sampling: SamplingConfig, windows: Plan,
        conditioning: Conditioning, *, known: Tensor | None, on_step: OnStep,
    ) -> Tensor:  # fmt: skip
        """Noise, or a known sound `2 n` under noise -> `1 c t`."""
        shape = (1, self.grid.channels, windows.frames)
        noise = initial_noise(shape, request.seed).to(self.checkpoint.device)
        sigmas = start_sigmas(request, self.checkpoint.config, sampling)
        clean = torch.zeros_like(noise) if known is None else self.known_latent(known, windows)
        noised = OBJECTIVES[self.checkpoint.config.objective].noised
        start = noised(clean, noise, sigmas[0].item())
        if request.inpaint:
            mask = self.regenerated_frames(request, windows).to(noise.device)
            start = begin_inpainting(clean, noise, mask, sigmas, noised=noised)
            redraw = step_noise(noise, request.seed, "inpainting")
            on_step = _both(keep_init_latent(clean, mask, sigmas, redraw, noised=noised), on_step)
        return sample(
            self.checkpoint.backbone,
            conditioning,
            start,
            sigmas,
            sampling=sampling,
            grid=self.grid,
            objective=self.checkpoint.config.objective,
            fresh_noise=step_noise(noise, request.seed),
            on_step=on_step,
        )

    def known_latent(self, known: Tensor, windows: Plan) -> Tensor:
        """A sound `2 n` in its windows -> `1 c t`: the mean of what the encoder knows of it."""
        samples = windows.frames * self.grid.hop_length
        whole = pad(known[:, :samples], (0, max(0, samples - known.shape[-1])))
        audio, vae = whole[None].to(self.checkpoint.device), self.checkpoint.vae
        if windows.windows == 1:
            return vae.encode(audio).mean
        return encode_chunked(vae.encode, audio, self.grid.hop_length).mean

    def regenerated_frames(self, request: Request, windows: Plan) -> Tensor:
        """Which latent frames `inpaint` makes anew, `t`."""
        rate = self.grid.sample_rate / self.grid.hop_length
        masks = [soft_mask(windows.frames, a * rate, b * rate) for a, b in request.inpaint]
        return torch.stack(masks).amax(dim=0)

    def with_known_samples(self, request: Request, waveform: Tensor, known: Tensor) -> Tensor:
        """Outside of the seconds made anew, the samples of the file itself; all `2 n`."""
        known = pad(known, (0, max(0, waveform.shape[-1] - known.shape[-1])))
        spans = [(self.grid.samples(a), self.grid.samples(b)) for a, b in request.inpaint]
        fade = self.grid.samples(JOIN_SECONDS)
        return paste_back(waveform, known[:, : waveform.shape[-1]], spans, fade)


def sample(
    model: Backbone, conditioning: Conditioning, start: Tensor, sigmas: Tensor, *,
    sampling: SamplingConfig, fresh_noise: NoiseSampler, grid: LatentConfig = GRID,
    objective: str = "v",
    on_step: OnStep = lambda *_: None,
) -> Tensor:  # fmt: skip
    """Noisy latents -> clean latents, of any length.

    Args:
        model: predicts what `objective` says; computes in its own dtype, the solver in float32.
        conditioning: both branches; of one window, which serves all, or of as many as there are.
        start: what is known with noise of `sigmas[0]`, `b c t`.
        sigmas: falling, the last is 0.
        sampling: of which guidance and solver count.
        fresh_noise: of the SDE solvers.
        grid: of the model's latents.
        objective: a key of `OBJECTIVES`.
        on_step: as in `Pipeline.generate`.
    """
    windows = plan_frames(grid, start.shape[-1])
    predict = predictor(model, conditioning, len(start), sampling, windows=windows)
    trained = OBJECTIVES[objective]
    return solve(
        sampling.sampler, trained.denoiser(predict), start, sigmas,
        noise_sampler=fresh_noise, on_step=on_step, noised=trained.noised,
    )  # fmt: skip


def decode(vae: Oobleck, latent: Tensor, window: int = GRID.window) -> Tensor:
    """Latents `b c t` -> audio `b 2 n`, one by one, and longer ones than a window in pieces.

    At full rate the last layers take gigabytes.
    """
    pieces = latent.shape[-1] > window
    return torch.cat(
        [
            decode_chunked(vae.decode, i) if pieces else vae.decode(i)
            for i in latent[:, None].float()
        ]
    )


def generate(
    request: Request, checkpoint: Checkpoint | None = None, on_step: OnStep = lambda *_: None
) -> Soundtrack:
    """One soundtrack from one call; the embedded model where no checkpoint is given."""
    return Pipeline(checkpoint or load_checkpoint()).generate(request, on_step)


def _said(prompt: str | None) -> str | None:
    """None for a prompt without a word."""
    return prompt if prompt and prompt.strip() else None


def _both(first: OnStep, second: OnStep) -> OnStep:
    def run(step: int, x: Tensor, denoised: Tensor) -> None:
        first(step, x, denoised)
        second(step, x, denoised)

    return run
