"""The pipeline: media -> features -> conditioning -> latent -> audio -> soundtrack.

Times are seconds. Axes: `b` batch, `c` channels, `t` latent frames, `n` audio samples.
"""

import logging
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoint.checkpoint_file import Checkpoint, load_checkpoint
from ..conditioners.host import ReportingHost
from ..conditioners.inputs import TimeRange
from ..config import SamplingConfig
from ..diffusion.objectives import OnStep
from ..errors import SettingsError
from ..media.clip import Clip
from ..models.oobleck import ChunkedOobleck
from ..paths import local_path
from ..progress import OnProgress, Stages, ignore
from ..variants import advice
from .decode import decode, finish
from .encode import (
    Features,
    Strengths,
    assemble,
    encode_audio,
    encode_image,
    encode_text,
    encode_video,
)
from .feature_cache import FeatureCache, file_key, weights_key
from .init_audio import InitAudio
from .modality_guidance import BranchInputs, assemble_branches, guidance_branches
from .predictor import AnyConditioning, Timeline
from .request import (
    DENOISE,
    Request,
    check_request,
    guidance_of,
    has_audio_prompt,
    sampling_of,
)
from .sampling import StartLatent, empty_latent, sample
from .soundtrack import Soundtrack, mixed
from .sources import Sources, open_sources, read_audio_prompt, read_picture
from .stage_times import stage_seconds

logger = logging.getLogger(__name__)

Report = Callable[..., None]  # called with the name of a stage and the share of it that is done


def unreported(_stage: str, _done: float = 0.0) -> None:
    """Show nothing."""


class Pipeline:
    """A loaded model and the steps from a request to a soundtrack."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        cache: FeatureCache | None = None,
        *,
        acceleration: str = "off",
    ) -> None:
        """Keep a model for several requests.

        Args:
            checkpoint: of the model.
            cache: keeps video and image features for further requests on the same picture.
            acceleration: of the transformer; "graph" records a CUDA graph in each run, "compile"
                compiles its blocks once.
        """
        if not isinstance(checkpoint, Checkpoint):
            raise SettingsError(
                f"The checkpoint is a {type(checkpoint).__name__}: pass load_checkpoint(path)."
            )
        self.checkpoint, self.cache, self.acceleration = checkpoint, cache, acceleration
        self.latent_format = checkpoint.config.latent

    def __repr__(self) -> str:
        return f"Pipeline({self.checkpoint})"

    @torch.no_grad()
    def generate(
        self,
        request: Request,
        on_step: OnStep = lambda *_: None,
        *,
        on_progress: OnProgress = ignore,
        sources: Sources | None = None,
    ) -> Soundtrack:
        """Generate the soundtrack of a request for one take.

        Args:
            request: inputs and settings.
            on_step: called at each step with its index, the noisy latent and the denoised estimate.
            on_progress: called with the stage and the share of the whole run that is done.
            sources: of the request, if they have been opened already.

        Raises:
            AudioXError: an input is unreadable, a setting is out of range, the output overflows, or
                more than one take is requested.
        """
        check_request(request)
        if request.takes != 1:
            raise SettingsError(
                f"The request has {request.takes} takes: use Pipeline.takes, which returns all of "
                "them."
            )
        return self.takes(request, on_step, on_progress=on_progress, sources=sources)[0]

    @torch.no_grad()
    def takes(
        self,
        request: Request,
        on_step: OnStep = lambda *_: None,
        *,
        on_progress: OnProgress = ignore,
        sources: Sources | None = None,
    ) -> list[Soundtrack]:
        """Generate all takes of a request: sounds from the same inputs with different noise.

        The first one is what `generate` returns for a single take.

        Args:
            request, on_step, on_progress, sources: as in `generate`.

        Raises:
            AudioXError: as in `generate`.
        """
        checkpoint, sampling = self.checkpoint, self.sampling(request)
        if hint := advice(checkpoint.config, sampling):
            logger.warning("%s", hint)
        sources = self.sources(request) if sources is None else sources
        init, seconds, device = sources.init_audio, sources.seconds, checkpoint.device.type
        times = stage_seconds(checkpoint.config, request, seconds, sampling, device)
        stages = Stages(times, on_progress)
        conditioning = self.conditioning(request, sources.clip, seconds, stages.report)
        if init is not None:
            stages.report("encoding the existing audio")
        report = partial(stages.report, "encoding the existing audio")
        start = self.start_latent(request, init, seconds, report)
        stages.report("sampling")

        def report_step(step: int, x: Tensor, denoised: Tensor) -> None:
            on_step(step, x, denoised)
            stages.report("sampling", min(1.0, (step + 1) / sampling.steps))

        latent = sample(
            checkpoint,
            conditioning,
            start,
            sampling=sampling,
            seed=request.seed,
            on_step=report_step,
            acceleration=self.acceleration,
        )
        stages.report("decoding")
        report = partial(stages.report, "decoding")
        waveforms = decode(checkpoint, latent, seconds, request.loop, on_progress=report).cpu()
        stages.report("finishing")
        made = [self._finished(request, waveform, init) for waveform in waveforms]
        stages.report("finishing", 1.0)
        return made

    def _finished(self, request: Request, waveform: Tensor, init: InitAudio | None) -> Soundtrack:
        rate = self.latent_format.sample_rate
        made = finish(waveform, self.latent_format, init_audio=init, in_place=True)
        video, start = request.video, request.start
        trimmed = start > 0 or request.seconds is not None
        if isinstance(video, Clip):
            piece = video.piece
            video = None if piece is None else piece.path
            start += 0.0 if piece is None else float(piece.start)
            trimmed = trimmed or not (piece is None or piece.is_whole)
        path = None if video is None else local_path(video)
        return Soundtrack(mixed(made, rate, request), rate, path, start, trimmed)

    def sampling(self, request: Request) -> SamplingConfig:
        """The checked sampling settings of a request; those that are None are the model's own."""
        return sampling_of(request, self.checkpoint.config)

    def sources(self, request: Request) -> Sources:
        """The opened sources of a request, see `open_sources`."""
        return open_sources(request, self.latent_format)

    def conditioning(
        self,
        request: Request,
        clip: Clip | None,
        seconds: float,
        report: Report = unreported,
    ) -> AnyConditioning:
        """Encode the inputs of a request and join them into the branches of guidance.

        Args:
            request: inputs and strengths.
            clip: the opened video, from `sources`.
            seconds: length of the audio.
            report: called with the name of each stage and the share of it that is done.

        Returns:
            A conditioning for each prompt, with the time in which it applies (None is everywhere
            else), or those of several branches for guidance by modality.
        """
        host = self.checkpoint

        def encoded(text: str) -> Tensor | None:
            return encode_text(host, text) if text.strip() else None

        report("encoding the text")
        strengths = Strengths(request.text_strength, request.video_strength, request.audio_strength)
        negative = encoded(request.negative)
        texts: list[tuple[TimeRange | None, Tensor | None]] = [
            (TimeRange(start, end, request.crossfade), encoded(text))
            for start, end, text in request.prompts
        ]
        texts.append((None, encoded(request.prompt)))

        def timeline(inputs: BranchInputs) -> Timeline:
            joined = partial(assemble, host, negative=negative, strengths=strengths, **vars(inputs))
            return [(span, joined(text=text)) for span, text in texts]

        picture = self._picture_features(request, clip, seconds, report)
        audio = self._audio_features(request, report)
        weights = guidance_of(request, self.sampling(request))
        if weights is None:
            return timeline(BranchInputs(picture, audio))
        with_text = any(text is not None for _, text in texts)
        branches = guidance_branches(
            host.config, weights, picture, audio, strengths, has_text=with_text
        )
        return assemble_branches(branches, timeline)

    def _picture_features(
        self, request: Request, clip: Clip | None, seconds: float, report: Report = unreported
    ) -> Features | None:
        """The features of the video or image of a request, from the cache where it has them."""
        if clip is None and request.image is None:
            return None
        encode = partial(self._encode_picture, request, clip, seconds, report)
        if self.cache is None or not _is_file(request):
            return encode()
        return self.cache.get(_picture_key(request, seconds, self.encoders_key()), encode)

    def has_features(self, request: Request, seconds: float, encoders: Hashable) -> bool:
        """Whether the features of the picture of a request are cached: it is not read again.

        Args:
            request: with a picture.
            seconds: length of the sound.
            encoders: the `encoders_key`; making it waits for the device, so not beside a run.
        """
        return self.cache is not None and _picture_key(request, seconds, encoders) in self.cache

    def _encode_picture(
        self, request: Request, clip: Clip | None, seconds: float, report: Report
    ) -> Features:
        hide = tuple(request.hide.get("video", ()))
        host = self._reporting(report, f"encoding the {'image' if clip is None else 'video'}")
        if clip is not None:
            return encode_video(host, clip, start=request.start, seconds=seconds, hide=hide)
        return encode_image(host, read_picture(request), hide)

    def _reporting(self, report: Report, stage: str) -> ReportingHost:
        """The model, whose progress is that of a stage, which begins."""
        report(stage)
        return ReportingHost(self.checkpoint, partial(report, stage))

    def encoders_key(self) -> Hashable:
        """What of the model the features of a picture depend on, its weights included."""
        checkpoint = self.checkpoint
        encoders = (checkpoint.conditioners.video, checkpoint.conditioners.sync)
        model = (checkpoint.variant, checkpoint.path, checkpoint.config.video, checkpoint.device)
        weights = tuple(weights_key(encoder) for encoder in encoders if encoder is not None)
        return (*model, weights)

    def _audio_features(self, request: Request, report: Report) -> Features | None:
        if not has_audio_prompt(request):
            return None
        waveform = read_audio_prompt(request, self.latent_format)
        hide = tuple(request.hide.get("audio", ()))
        host = self._reporting(report, "encoding the audio prompt")
        return encode_audio(host, waveform, self.latent_format.sample_rate, hide=hide)

    def start_latent(
        self,
        request: Request,
        init: InitAudio | None,
        seconds: float,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> StartLatent:
        """The latent to start from: zeros, or the encoded init audio with its noise mask.

        Args:
            request: its takes, and its denoise or noise level are used.
            init: the init audio from `sources`, or None.
            seconds: length of the audio.
            on_progress: called with the share of the init audio that is encoded; may raise to stop.
        """
        device = self.checkpoint.device
        if init is None:
            return empty_latent(self.checkpoint, seconds, request.takes, loop=request.loop)
        check = self.checkpoint.check_interrupt
        vae = ChunkedOobleck(self.checkpoint.vae, None, check, on_progress)
        latent, mask = init.encode(
            self.latent_format, lambda audio: vae.encode(audio.to(device)).mean
        )
        latent = latent.repeat(request.takes, 1, 1)
        if mask is not None:
            return StartLatent(latent, mask.to(device))
        denoise = DENOISE if request.denoise is None else request.denoise
        return StartLatent(latent, denoise=denoise, sigma=request.init_noise_level)


def _picture_key(request: Request, seconds: float, encoders: Hashable) -> Hashable:
    """All that the features of a picture depend on."""
    picture = file_key(local_path(str(request.video or request.image)))
    hide = tuple(request.hide.get("video", ()))
    span = (request.start, seconds, request.timing) if request.video is not None else ()
    return (encoders, picture, hide, span)


def _is_file(request: Request) -> bool:
    """Whether the picture of a request is a file; what is in memory has no key in a cache."""
    return isinstance(request.image if request.video is None else request.video, str | Path)


def generate(
    request: Request,
    checkpoint: Checkpoint | None = None,
    on_step: OnStep = lambda *_: None,
    *,
    on_progress: OnProgress = ignore,
) -> Soundtrack:
    """Generate one soundtrack. For several requests, make a `Pipeline` once.

    Args:
        request: inputs and settings.
        checkpoint: the model; None loads the embedded one.
        on_step, on_progress: as in `Pipeline.generate`.

    Raises:
        AudioXError: as in `Pipeline.generate`.
    """
    check_request(request)
    pipeline = Pipeline(checkpoint or load_checkpoint())
    return pipeline.generate(request, on_step, on_progress=on_progress)
