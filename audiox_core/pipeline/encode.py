"""Encode each modality, then join them: text, clips and sounds -> tokens -> conditioning.

Each function is one step. It takes a `ModelHost`, such as a loaded checkpoint, as its first
argument. Axes: `w` windows, `s` tokens of a window, `d` width, `c` channels, `n` audio samples.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..conditioners.assemble import Conditioning, assemble_tokens
from ..conditioners.audio import encode_waveform
from ..conditioners.host import ModelHost
from ..conditioners.inputs import Span, check_prompt, check_spans
from ..conditioners.text import PromptReading
from ..conditioners.video import encode_sync, still_clip
from ..diffusion.noise import stream, unit_noise
from ..errors import SettingsError, check_number
from ..limits import MAX_SECONDS, MAX_START, MIN_SECONDS, length_from
from ..media.clip import Clip, clip_from_file
from ..media.resample import resample
from ..media.sound import Sound
from ..media.video import frame_grids
from ..models.oobleck import ChunkedOobleck
from ..paths import local_path
from ..windows import LENGTH_TOLERANCE, plan, spans_in_window

logger = logging.getLogger(__name__)

READ_SHARE = 0.3  # of the time of a window, for reading its frames

OnProgress = Callable[[float], None]  # called with the share of a window that is done; may raise


@dataclass(frozen=True)
class Features:
    """The encoded tokens of a video, an image or an audio prompt."""

    kind: Literal["video", "audio"]
    tokens: Tensor  # `w s d`
    variant: str  # of the model that encoded it
    start: float = 0.0  # seconds into the source
    seconds: float | None = None  # that the tokens describe; None: any length (a still image)

    def __repr__(self) -> str:
        length = "any length" if self.seconds is None else f"{self.seconds:.2f} s"
        return f"Features({self.kind}, {length}, {tuple(self.tokens.shape)} of {self.variant})"

    @property
    def windows(self) -> int:
        """Windows that the tokens describe; a single one serves a sound of any length."""
        return len(self.tokens)


@dataclass(frozen=True)
class Strengths:
    """The influence of each modality: 0 is absent, 1 is present, linear in between."""

    text: float = 1.0
    video: float = 1.0
    audio: float = 1.0


def encode_text(host: ModelHost, prompt: str) -> Tensor:
    """Encode a prompt with T5.

    Returns:
        Tokens `1 s d`.

    Raises:
        SettingsError: the text encoder cannot read the prompt.
        WeightsError: no text encoder was found when the model was loaded.
    """
    check_host(host)
    check_prompt(prompt)
    text = host.use("text")
    for advice in text.read(prompt).advice:
        logger.warning("%s", advice)
    return host.keep(text.encode([prompt]))


def read_prompt(host: ModelHost, prompt: str) -> PromptReading:
    """How many tokens of a prompt are used, and what of it is not read.

    Raises:
        SettingsError, WeightsError: as in `encode_text`.
    """
    return host.use("text").read(prompt)


def check_host(host: ModelHost) -> None:
    """Raise SettingsError for what provides no modules."""
    if not isinstance(host, ModelHost):
        raise SettingsError(
            f"The first argument is a {type(host).__name__}: pass a checkpoint, from "
            "load_checkpoint()."
        )


def check_type(name: str, value: object, kind: Any, maker: str) -> None:
    """Raise SettingsError for an argument that is not what an earlier step, `maker`, returns."""
    if not isinstance(value, kind):
        raise SettingsError(f"{name} is a {type(value).__name__}: pass the result of {maker}.")


def encode_video(
    host: ModelHost,
    clip: Clip | str | Path,
    *,
    start: float = 0.0,
    seconds: float | None = None,
    hide: Sequence[Span] = (),
) -> Features:
    """Encode a clip window by window: CLIP and, in the MAF line, Synchformer.

    Args:
        host: of the model.
        clip: see `media.clip`.
        start: seconds into the clip.
        seconds: length to encode; None goes to the end of the clip.
        hide: spans in seconds after `start` that are blackened, as training masks them.

    Raises:
        SettingsError: `start` or `seconds` is out of range.
        MediaError: the clip cannot be read.
        WeightsError: the model needs Synchformer and it was not found.
    """
    check_host(host)
    if not isinstance(clip, Clip):
        clip = clip_from_file(local_path(clip))
    seconds = seconds_from(clip, start, seconds)
    check_spans(hide)
    grids = frame_grids(host.config.video)

    def encode(begin: float, report: OnProgress) -> Tensor:
        frames, *sync_frames = clip.frames(start + begin, start + seconds, grids)
        report(READ_SHARE)
        spans = spans_in_window(hide, begin)
        sync = _sync_features(
            host, sync_frames, spans, lambda share: report(READ_SHARE + (1 - READ_SHARE) * share)
        )
        return host.use("video").encode(frames, spans, sync=sync)

    tokens = _every_window(host, seconds, encode)
    return Features("video", tokens, host.config.variant, start, seconds)


def _every_window(
    host: ModelHost, seconds: float, encode: Callable[[float, OnProgress], Tensor]
) -> Tensor:
    """Tokens of every window, `w s d`, from `encode`: start of a window -> its tokens, `1 s d`."""
    starts, tokens = plan(host.config.latent, seconds).start_seconds, []
    for index, begin in enumerate(starts):

        def report(share: float, done: int = index) -> None:
            host.check_interrupt()
            host.progress((done + share) / len(starts))

        host.check_interrupt()
        tokens.append(host.keep(encode(begin, report)))
        host.progress((index + 1) / len(starts))
    return torch.cat(tokens)


def seconds_from(clip: Clip, start: float, seconds: float | None = None) -> float:
    """Seconds of a clip from `start` on, at most `seconds`; raises as `length_from` does."""
    return length_from(clip.name, clip.seconds, start, seconds)


def encode_image(host: ModelHost, image: Tensor, hide: Sequence[Span] = ()) -> Features:
    """Encode a still image; the features can be used for audio of any length.

    Args:
        host: of the model.
        image: `3 h w` in 0..255.
        hide: spans in seconds that are blackened.
    """
    check_host(host)
    check_spans(hide)
    if not isinstance(image, Tensor) or image.ndim != 3 or image.shape[0] != 3:
        raise SettingsError(
            "The image must be a tensor of shape (3, height, width): see read_image."
        )
    config, spans = host.config.video.sync, tuple(hide)

    def encode(_begin: float, report: OnProgress) -> Tensor:
        clips = [] if config is None else [still_clip(image, config)]
        sync = _sync_features(host, clips, spans, report)
        return host.use("video").encode_image(image, spans, sync=sync)

    tokens = _every_window(host, host.config.latent.conditioned_seconds, encode)
    return Features("video", tokens, host.config.variant)


def _sync_features(
    host: ModelHost, clips: Sequence[Tensor], hide: tuple[Span, ...], report: OnProgress
) -> Tensor | None:
    """Synchformer's features of the frames of a window; None for a model without Synchformer."""
    config = host.config.video.sync
    if config is None:
        return None
    return encode_sync(host.use("sync"), clips[0], config.fps, hide, report)


def encode_audio(
    host: ModelHost,
    waveform: Tensor | np.ndarray,
    sample_rate: int,
    *,
    start: float = 0.0,
    seconds: float | None = None,
    hide: Sequence[Span] = (),
) -> Features:
    """Encode an audio or music prompt; more than ten seconds are encoded window by window.

    Args:
        host: of the model.
        waveform: `c n` or `n`, an array or a tensor; a single channel is copied to both.
        sample_rate: Hz.
        start: seconds into the sound; below 0 it counts from the end.
        seconds: length of the prompt; None takes the ten seconds that serve any length.
        hide: spans in seconds after `start` that are silenced, as training masks them.

    Raises:
        SettingsError: the audio ends before `start`, or the selected part is empty.
    """
    check_host(host)
    waveform = Sound(waveform, sample_rate).stereo()
    latent_format, latents = host.config.latent, host.config.prompt_latents
    rate, described = latent_format.sample_rate, latent_format.conditioned_seconds
    waveform = resample(waveform, sample_rate, rate)
    total = waveform.shape[-1] / rate
    check_number("start", start, -MAX_START, MAX_START, unit=" s")
    begin = max(0.0, total + start) if start < 0 else start
    if not latent_format.samples(begin) < waveform.shape[-1]:
        raise SettingsError(
            f"The audio is {total:.2f} s long, but the start is {start:g} s: use an earlier start."
        )
    length = described if seconds is None else seconds
    check_number("The length of the prompt", length, MIN_SECONDS, MAX_SECONDS, unit=" s")
    check_spans(hide)
    piece = waveform[:, latent_format.samples(begin) : latent_format.samples(begin + length)]
    # the VAE first: it is large, the conditioner small
    oobleck, on = (host.use("vae"), host.device_of("vae")) if latents else (None, None)
    audio, device = host.use("audio"), host.device_of("audio")
    draws = stream(0, "audio prompt")  # the same for a prompt in every run

    def encode(at: float, report: OnProgress) -> Tensor:
        vae = None
        if oobleck is not None:
            vae = ChunkedOobleck(oobleck, on, host.check_interrupt, report)
        noise = unit_noise((1, latent_format.channels, latents), draws).to(device)
        part, spans = piece[:, latent_format.samples(at) :], spans_in_window(hide, at)
        return encode_waveform(audio, vae, part, latent_format, hide=spans, noise=noise)

    length = piece.shape[-1] / rate  # the audio may end earlier
    tokens = _every_window(host, length, encode)
    return Features("audio", tokens, host.config.variant, begin, length)


def assemble(
    host: ModelHost,
    *,
    text: Tensor | None = None,
    negative: Tensor | None = None,
    empty_text: Tensor | None = None,
    video: Features | None = None,
    audio: Features | None = None,
    strengths: Strengths = Strengths(),
) -> Conditioning:
    """Join the modalities into both branches of guidance; what is not given is absent.

    An absent modality has the tokens that the model learned for absence, see
    `conditioners.masking`.

    Args:
        host: of the model.
        text: tokens of the prompt, `1 s d`.
        negative: tokens of a negative prompt, `1 s d`.
        empty_text: tokens of the empty prompt, `1 s d`; None encodes it where it is needed.
        video, audio: features of this model.
        strengths: of the three modalities.

    Raises:
        SettingsError: features of another kind, model or length, or a strength outside of 0..1.
        WeightsError: the empty prompt is needed and there is no text encoder.
    """
    for name, tokens in (("text", text), ("negative", negative)):
        if tokens is not None:
            check_type(name, tokens, Tensor, "encode_text")
    for name, features in (("video", video), ("audio", audio)):
        if features is not None:
            check_type(name, features, Features, f"encode_{name}")
    video = None if strengths.video == 0 else video  # it need not have the length of the sound
    audio = None if strengths.audio == 0 else audio
    seconds = _described_seconds(host, video, audio)
    if empty_text is None:
        empty_text = text if text is not None and strengths.text == 1 else encode_text(host, "")
    if audio is not None and strengths.audio == 1 and negative is None:
        absent_audio = audio.tokens[:1]  # not used, and it may take long to encode
    else:
        absent_audio = host.absent_audio
    absent = {
        "video": host.conditioners.video.empty_visual_feat,
        "text": empty_text,
        "audio": absent_audio,
    }
    maf = None if host.config.maf is None else host.use("maf")
    present: dict[str, Tensor] = {f.kind: f.tokens for f in (video, audio) if f is not None}
    if text is not None:
        present["text"] = text
    device = empty_text.device if maf is None else host.device_of("maf")
    present, absent = (
        {name: tokens.to(device) for name, tokens in parts.items()} for parts in (present, absent)
    )
    negative = None if negative is None else negative.to(device)
    return assemble_tokens(
        present, absent, vars(strengths), negative=negative, maf=maf, seconds=seconds
    )


def _described_seconds(
    host: ModelHost, video: Features | None, audio: Features | None
) -> float | None:
    """The length of the sound that features describe; None if they serve any length.

    Raises:
        SettingsError: features of another kind or model, or of two lengths.
    """
    lengths = {}
    for kind, features in (("video", video), ("audio", audio)):
        if features is None:
            continue
        if features.kind != kind:
            raise SettingsError(
                f"The {kind} input received {features.kind} features: swap the two connections."
            )
        if features.variant != host.config.variant:
            raise SettingsError(
                f"The {kind} features were made for {features.variant}, but the conditioners "
                f"are {host.config.variant}: load both from one checkpoint."
            )
        # an audio prompt of ten seconds is what comes before the sound, whatever its length
        prompt = kind == "audio" and features.windows == 1
        if features.seconds is not None and not prompt:
            lengths[kind] = features.seconds
    windows = {f.windows for f in (video, audio) if f is not None} - {1}
    apart = max(lengths.values(), default=0.0) - min(lengths.values(), default=0.0)
    if video is not None and audio is not None and (len(windows) > 1 or apart > LENGTH_TOLERANCE):
        raise SettingsError(
            f"The video has {_length(video)}, but the audio prompt has {_length(audio)}: use the "
            "same length for both, or an audio prompt of at most ten seconds."
        )
    return next(iter(lengths.values()), None)


def _length(features: Features) -> str:
    seconds = "" if features.seconds is None else f" ({features.seconds:.2f} s)"
    return f"{features.windows} windows{seconds}"
