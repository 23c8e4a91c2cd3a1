"""From node inputs to tokens: texts, clips and sounds to features, features to CONDITIONING."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from ...audiox_core.conditioners.masking import Span, parse_spans
from ...audiox_core.config import LatentConfig
from ...audiox_core.errors import SettingsError
from ...audiox_core.media.video import frame_grids
from ...audiox_core.windows import plan, spans_in_window
from .conditioners import Features, NativeConditioners
from .conditioning import EMPTY, from_core, text_tokens
from .media import Clip, clip_of_images, clip_of_video, first_image, waveform_of

MIN_SECONDS, MAX_SECONDS = 0.1, 600.0


def text_conditioning(conditioners: NativeConditioners, prompt: str, clip: Any) -> list:
    """A prompt -> CONDITIONING of text tokens, by ComfyUI's T5-base or the checkpoint's own."""
    if clip is not None:
        encoded = clip.encode_from_tokens_scheduled(clip.tokenize(prompt))
        empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
        tokens, _ = text_tokens([encoded[0]], conditioners.config, "text of this CLIP")
        nothing, _ = text_tokens([empty[0]], conditioners.config, "text of this CLIP")
        return [[tokens, {**encoded[0][1], EMPTY: nothing}], *encoded[1:]]
    if not conditioners.has_text():
        raise SettingsError(
            "This checkpoint brings no text encoder: connect ComfyUI's CLIPLoader (T5-base, type "
            "stable_audio) to clip, or put T5-base with its tokenizer.json into "
            "models/text_encoders/t5-base (`python -m audiox_core fetch t5-base`)."
        )
    return [[conditioners.text(prompt), {"pooled_output": None}]]


def video_features(
    conditioners: NativeConditioners, video: Any, images: Any, fps: float, start: float,
    length: float, time_mask: str,
) -> tuple[Features, float]:  # fmt: skip
    """A VIDEO, or images and their rate -> features and the seconds that they cover."""
    if (video is None) == (images is None):
        raise SettingsError("Connect a video or images, one of them.")
    clip = clip_of_video(video) if images is None else clip_of_images(images, fps)
    seconds = _seconds(clip, start, length)
    config, spans = conditioners.config, _spans(time_mask)
    grids, starts = frame_grids(config.video), plan(config.latent, seconds).start_seconds
    windows = [partial(clip.frames, start + begin, grids, start + seconds) for begin in starts]
    hide = [spans_in_window(spans, begin) for begin in starts]
    return conditioners.video(windows, hide), seconds


def _seconds(clip: Clip, start: float, length: float) -> float:
    if start >= clip.seconds:
        raise SettingsError(
            f"The video is {clip.seconds:.2f} s long and the start is {start:g} s: start earlier."
        )
    seconds = min(length or clip.seconds, clip.seconds - start)
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise SettingsError(
            f"{seconds:.2f} s of video: take {MIN_SECONDS:g} to {MAX_SECONDS:g} s, with start and "
            "length."
        )
    return seconds


def image_features(conditioners: NativeConditioners, image: Tensor) -> Features:
    """The first picture of an IMAGE batch -> features."""
    return conditioners.image(first_image(image))


def audio_features(
    conditioners: NativeConditioners, vae: Any, audio: Mapping[str, Any] | None, start: float,
    length: float, time_mask: str,
) -> Features:  # fmt: skip
    """A piece of AUDIO -> features; more than a window of it is read window by window."""
    grid = grid_of(vae)
    waveform = waveform_of(audio, grid.sample_rate)
    total = waveform.shape[-1] / grid.sample_rate
    begin = max(0.0, total + start) if start < 0 else start
    if begin >= total:
        raise SettingsError(f"The sound is {total:.2f} s long: start earlier than {start:g} s.")
    piece = waveform[:, grid.samples(begin) : grid.samples(begin + length)]
    if not piece.shape[-1]:
        raise SettingsError(
            f"{length:g} s from {begin:g} s on hold no sound: give a length above 0, or start "
            "earlier."
        )
    starts = plan(grid, piece.shape[-1] / grid.sample_rate).start_seconds
    conditioned = grid.samples(grid.conditioned_seconds)
    windows = [piece[:, grid.samples(at) :][:, :conditioned] for at in starts]
    spans = _spans(time_mask)
    return conditioners.audio(vae, windows, [spans_in_window(spans, at) for at in starts])


def masked_conditioning(
    conditioners: NativeConditioners, text: list | None, negative: list | None,
    video: Features | None, audio: Features | None, strengths: Mapping[str, float],
) -> tuple[list, list]:  # fmt: skip
    """All modalities -> positive and negative CONDITIONING."""
    config = conditioners.config
    tokens, empty = text_tokens(text, config, "text")
    opposed, _ = text_tokens(negative, config, "negative text")
    parts = {"text": tokens, "negative": opposed, "empty_text": empty}
    for kind, features in (("video", video), ("audio", audio)):
        if features is not None:
            _check(features, kind, conditioners)
            parts[kind] = features.tokens
    counts = {len(f.tokens) for f in (video, audio) if f is not None} - {1}
    if len(counts) > 1:
        raise SettingsError(
            f"The video has {len(video.tokens)} windows and the audio {len(audio.tokens)}: give "
            "both the same length, or the audio prompt at most ten seconds."
        )
    return from_core(conditioners.assemble(**parts, **strengths), config)


def _check(features: Features, kind: str, conditioners: NativeConditioners) -> None:
    if features.kind != kind:
        raise SettingsError(
            f"The {kind} socket got {features.kind} features: exchange the two connections."
        )
    if features.variant != conditioners.config.variant:
        raise SettingsError(
            f"The {kind} features were made for {features.variant}, the conditioners are "
            f"{conditioners.config.variant}: load both from one checkpoint."
        )


def grid_of(vae: Any) -> LatentConfig:
    """The latent grid of a VAE. Raises SettingsError where it is none of AudioX."""
    grid = getattr(vae, "grid", None)
    if grid is None:
        raise SettingsError(
            "The VAE is none of AudioX: connect AudioX Load Checkpoint or AudioX Load VAE."
        )
    return grid


def _spans(text: str) -> tuple[Span, ...]:
    return parse_spans(text) if text.strip() else ()
