"""The pipeline: media -> features -> conditioning -> latent -> audio -> soundtrack.

Times are seconds. Axes: `b` batch, `c` channels, `t` latent frames, `n` audio samples.
"""

import logging
from collections.abc import Hashable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoint.checkpoint_file import Checkpoint, load_checkpoint
from ..conditioners.inputs import TimeRange
from ..config import SamplingConfig
from ..diffusion.objectives import OnStep
from ..errors import SettingsError
from ..limits import MAX_SECONDS, check_seconds
from ..media.audio import read_audio
from ..media.clip import Clip, clip_from_file
from ..media.pixels import read_image
from ..models.oobleck import ChunkedOobleck
from ..variants import advice
from ..windows import plan
from .decode import decode, finish
from .encode import (
    Features,
    Strengths,
    assemble,
    encode_audio,
    encode_image,
    encode_text,
    encode_video,
    seconds_from,
)
from .feature_cache import FeatureCache, file_key, weights_key
from .init_audio import InitAudio, init_audio, tail
from .modality_guidance import BranchInputs, assemble_branches, guidance_branches
from .predictor import AnyConditioning, Timeline
from .request import DENOISE, Request, check_request, guidance_of, sampling_of
from .sampling import StartLatent, sample
from .soundtrack import Soundtrack, mixed

logger = logging.getLogger(__name__)


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
        self.checkpoint, self.cache, self.acceleration = checkpoint, cache, acceleration
        self.latent_format = checkpoint.config.latent

    @torch.no_grad()
    def generate(self, request: Request, on_step: OnStep = lambda *_: None) -> Soundtrack:
        """Generate the soundtrack of a request.

        Args:
            request: inputs and settings.
            on_step: called at each step with its index, the noisy latent and the denoised estimate.

        Raises:
            AudioXError: an input is unreadable, a setting is out of range, or the output overflows.
        """
        sampling = self.sampling(request)
        if hint := advice(self.checkpoint.config, sampling):
            logger.warning("%s", hint)
        clip, init, seconds = self.sources(request)
        conditioning = self.conditioning(request, clip, seconds)
        start = self.start_latent(request, init, seconds)
        latent = sample(
            self.checkpoint,
            conditioning,
            start,
            sampling=sampling,
            seed=request.seed,
            on_step=on_step,
            acceleration=self.acceleration,
        )
        waveform = decode(self.checkpoint, latent, seconds, request.loop)[0].cpu()
        rate = self.latent_format.sample_rate
        return Soundtrack(
            mixed(
                finish(waveform, self.latent_format, init_audio=init, in_place=True), rate, request
            ),
            rate,
            video=None if request.video is None else Path(request.video),
            start=request.start,
            trimmed=request.start > 0 or request.seconds is not None,
        )

    def sampling(self, request: Request) -> SamplingConfig:
        """The checked sampling settings of a request; those that are None are the model's own."""
        return sampling_of(request, self.checkpoint.config)

    def sources(self, request: Request) -> tuple[Clip | None, InitAudio | None, float]:
        """Open the video and the init audio of a request; they determine the length.

        Returns:
            The clip and the init audio, or None, and the length in seconds.

        Raises:
            MediaError: a file cannot be read.
            SettingsError: the length is out of range.
        """
        check_request(request)
        clip, seconds = None, request.seconds
        if request.video is not None:
            clip = clip_from_file(request.video, timing=request.timing)
            seconds = seconds_from(clip, request.start, request.seconds)
            if request.seconds is not None and seconds < request.seconds:
                logger.warning(
                    "%s ends at %.2f s, so the audio ends there, too.", clip.name, clip.seconds
                )
        known, spans = None, request.inpaint
        if request.init_audio is not None:
            rate = self.latent_format.sample_rate
            if seconds is not None:
                check_seconds(seconds)
            # a little more than can be used
            longest = (MAX_SECONDS if seconds is None else seconds) + 0.1
            known = read_audio(Path(request.init_audio), sample_rate=rate, seconds=longest)
            length = known.shape[-1] / rate
            seconds = length + request.extend if seconds is None else seconds
            spans = ((length, seconds),) if request.extend else spans
        seconds = self.latent_format.conditioned_seconds if seconds is None else seconds
        check_seconds(seconds)
        for name, length in (("video", seconds), ("audio", self.latent_format.conditioned_seconds)):
            if late := [begin for begin, _ in request.hide.get(name, ()) if begin >= length]:
                raise SettingsError(
                    f"The time to hide starts at {late[0]:g} s, but the {name} ends at "
                    f"{length:.2f} s: change hide."
                )
        if known is None:
            return clip, None, seconds
        given = self.latent_format, spans, seconds
        return clip, init_audio(known, *given, feather=request.feather), seconds

    def conditioning(self, request: Request, clip: Clip | None, seconds: float) -> AnyConditioning:
        """Encode the inputs of a request and join them into the branches of guidance.

        Args:
            request: inputs and strengths.
            clip: the opened video, from `sources`.
            seconds: length of the audio.

        Returns:
            A conditioning for each prompt, with the time in which it applies (None is everywhere
            else), or those of several branches for guidance by modality.
        """
        host = self.checkpoint

        def encoded(text: str) -> Tensor | None:
            return encode_text(host, text) if text.strip() else None

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

        picture = self._picture_features(request, clip, seconds)
        audio = self._audio_features(request)
        weights = guidance_of(request, self.sampling(request))
        if weights is None:
            return timeline(BranchInputs(picture, audio))
        branches = guidance_branches(host.config, weights, picture, audio, strengths)
        return assemble_branches(branches, timeline)

    def _picture_features(
        self, request: Request, clip: Clip | None, seconds: float
    ) -> Features | None:
        """The features of the video or image of a request, from the cache where it has them."""
        if clip is None and request.image is None:
            return None
        encode = partial(self._encode_picture, request, clip, seconds)
        if self.cache is None:
            return encode()
        return self.cache.get(self._picture_key(request, seconds), encode)

    def _encode_picture(self, request: Request, clip: Clip | None, seconds: float) -> Features:
        hide = tuple(request.hide.get("video", ()))
        if clip is not None:
            return encode_video(
                self.checkpoint, clip, start=request.start, seconds=seconds, hide=hide
            )
        return encode_image(self.checkpoint, read_image(Path(str(request.image))), hide)

    def _picture_key(self, request: Request, seconds: float) -> Hashable:
        """All that the features of a picture depend on."""
        checkpoint = self.checkpoint
        encoders = (checkpoint.conditioners.video, checkpoint.conditioners.sync)
        model = (checkpoint.variant, checkpoint.path, checkpoint.config.video, checkpoint.device)
        weights = tuple(weights_key(encoder) for encoder in encoders if encoder is not None)
        picture = file_key(request.video or request.image or "")
        hide = tuple(request.hide.get("video", ()))
        span = (request.start, seconds, request.timing) if request.video is not None else ()
        return (*model, weights, picture, hide, span)

    def _audio_features(self, request: Request) -> Features | None:
        rate = self.latent_format.sample_rate
        if request.audio is not None:
            seconds = self.latent_format.conditioned_seconds
            waveform = read_audio(Path(request.audio), sample_rate=rate, seconds=seconds)
        elif request.init_audio is not None and request.extend:
            waveform = tail(read_audio(Path(request.init_audio), sample_rate=rate), rate)
        else:
            return None
        hide = tuple(request.hide.get("audio", ()))
        return encode_audio(self.checkpoint, waveform, rate, hide=hide)

    def start_latent(self, request: Request, init: InitAudio | None, seconds: float) -> StartLatent:
        """The latent to start from: zeros, or the encoded init audio with its noise mask.

        Args:
            request: its denoise or noise level is used.
            init: the init audio from `sources`, or None.
            seconds: length of the audio.
        """
        device = self.checkpoint.device
        if init is None:
            frames = plan(self.latent_format, seconds, request.loop).frames
            shape = (1, self.latent_format.channels, frames)
            zeros = torch.zeros(shape, dtype=torch.float32, device=device)
            return StartLatent(zeros, loop=request.loop)
        vae = ChunkedOobleck(self.checkpoint.vae)
        latent, mask = init.encode(
            self.latent_format, lambda audio: vae.encode(audio.to(device)).mean
        )
        if mask is not None:
            return StartLatent(latent, mask.to(device))
        denoise = DENOISE if request.denoise is None else request.denoise
        return StartLatent(latent, denoise=denoise, sigma=request.init_noise_level)


def generate(
    request: Request, checkpoint: Checkpoint | None = None, on_step: OnStep = lambda *_: None
) -> Soundtrack:
    """Generate one soundtrack. For several requests, make a `Pipeline` once.

    Args:
        request: inputs and settings.
        checkpoint: the model; None loads the embedded one.
        on_step: as in `Pipeline.generate`.

    Raises:
        AudioXError: as in `Pipeline.generate`.
    """
    check_request(request)
    return Pipeline(checkpoint or load_checkpoint()).generate(request, on_step)
