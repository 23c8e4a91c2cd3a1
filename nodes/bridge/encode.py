"""From node inputs to the steps of the core, and from their results to CONDITIONING."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ...audiox_core.conditioners.inputs import Span, parse_spans
from ...audiox_core.conditioners.text import PromptReading
from ...audiox_core.conditioners.time_weights import parse_timeline
from ...audiox_core.config import LatentConfig
from ...audiox_core.errors import SettingsError
from ...audiox_core.media.clip import clip_from_images
from ...audiox_core.pipeline import encode
from ...audiox_core.pipeline.encode import Features, Strengths
from .conditioners import NativeConditioners
from .conditioning import BLANK, EMPTY, from_core, text_tokens
from .media import first_image, waveform_of
from .prompt_masks import SPAN
from .refused import kept_entries
from .video import clip_of_video


class NativeFeatures(Features):
    """AUDIOX_FEATURES."""

    def _comfy_cache_tensors(self) -> list[Tensor]:
        """ComfyUI asks here for the size of what it caches."""
        return [self.tokens]


def _native(features: Features) -> NativeFeatures:
    return NativeFeatures(**vars(features))


def text_conditioning(conditioners: NativeConditioners, prompt: str, clip: Any) -> list:
    """A prompt -> CONDITIONING of text tokens, by ComfyUI's T5-base or the checkpoint's own."""
    blank = {} if prompt.strip() else {BLANK: True}
    if clip is None:
        return [[encode.encode_text(conditioners, prompt), {"pooled_output": None, **blank}]]
    encoded = clip.encode_from_tokens_scheduled(clip.tokenize(prompt))
    empty = clip.encode_from_tokens_scheduled(clip.tokenize(""))
    tokens, _ = text_tokens([encoded[0]], conditioners.config, "text of this CLIP")
    empty_tokens, _ = text_tokens([empty[0]], conditioners.config, "text of this CLIP")
    return [[tokens, {**encoded[0][1], EMPTY: empty_tokens, **blank}], *encoded[1:]]


def reading_of(conditioners: NativeConditioners, prompt: str, clip: Any) -> str:
    """What the text encoder reads of a prompt, for the node to show."""
    if clip is None:
        return encode.read_prompt(conditioners, prompt).lines()
    batches = next(iter(clip.tokenize(prompt).values()))  # padding is 0
    ids = [token[0] for batch in batches for token in batch if token[0] != 0]
    limit = conditioners.config.text_tokens
    cut = len(ids) - limit
    last = "token is" if cut == 1 else f"{cut} tokens are"
    ignored = (f"The last {last} ignored.",) if cut > 0 else ()
    return PromptReading(ids[:limit], len(ids), limit, ignored).lines()


def video_features(
    conditioners: NativeConditioners,
    video: Any,
    images: Any,
    fps: float,
    start: float,
    length: float,
    time_mask: str,
) -> Features:
    """A VIDEO, or images and their frame rate -> features.

    Args:
        conditioners: of the checkpoint.
        video, images: one of them; the other is None.
        fps: frame rate of the images.
        start, length: seconds; a length of 0 goes to the end.
        time_mask: time ranges to hide in seconds, such as `0-2, 5.5-8`; empty for none.
    """
    if (video is None) == (images is None):
        raise SettingsError("Connect either a video or images.")
    clip = clip_of_video(video) if images is None else clip_from_images(images, fps)
    return _native(
        encode.encode_video(
            conditioners, clip, start=start, seconds=length or None, hide=time_ranges(time_mask)
        )
    )


def image_features(conditioners: NativeConditioners, image: Tensor) -> Features:
    """The first image of an IMAGE batch -> features."""
    return _native(encode.encode_image(conditioners, first_image(image)))


def audio_features(
    conditioners: NativeConditioners,
    vae: Any,
    audio: Mapping[str, Any] | None,
    start: float,
    length: float,
    time_mask: str,
) -> Features:
    """A part of AUDIO -> features.

    Args:
        conditioners: of the checkpoint.
        vae: an AudioX VAE.
        audio: AUDIO; the first item of a batch is used.
        start: seconds; negative values count from the end.
        length: seconds.
        time_mask: time ranges to hide, in seconds.
    """
    rate = latent_format_of(vae).sample_rate
    features = encode.encode_audio(
        conditioners.with_vae(vae),
        waveform_of(audio, rate),
        rate,
        start=start,
        seconds=length,
        hide=time_ranges(time_mask),
    )
    return _native(features)


def masked_conditioning(
    conditioners: NativeConditioners,
    text: list | None,
    negative: list | None,
    video: Features | None,
    audio: Features | None,
    strengths: Strengths,
) -> tuple[list, list]:
    """All modalities -> positive and negative CONDITIONING."""
    config = conditioners.config
    if negative is not None and all(facts.get(BLANK) for _, facts in negative):
        negative = None
    negative_tokens, _ = text_tokens(negative, config, "negative text")
    positives: list = []
    negatives: list = []
    for entry in text or [None]:
        given = None if entry is None else [entry]
        tokens, empty_text = text_tokens(given, config, "text")
        conditioning = encode.assemble(
            conditioners,
            text=tokens,
            negative=negative_tokens,
            empty_text=empty_text,
            video=video,
            audio=audio,
            strengths=strengths,
        )
        positive, negatives = from_core(conditioning, config)
        positives += _with_entries(positive, entry)
    return positives, _with_entries(negatives, negative[0] if negative else None)


def _with_entries(assembled: list, text: list | None) -> list:
    """A CONDITIONING that applies when and where its text does."""
    if text is None:
        return assembled
    return [[tokens, {**facts, **kept_entries(text[1])}] for tokens, facts in assembled]


def timeline_conditioning(
    conditioners: NativeConditioners, lines: str, crossfade: float, clip: Any
) -> tuple[list, str]:
    """Lines of a timeline -> a CONDITIONING of texts with their times, and what the node shows."""
    entries = parse_timeline(lines, crossfade)
    texts = [
        [tokens, facts if span is None else {**facts, SPAN: span}]
        for span, prompt in entries
        for tokens, facts in text_conditioning(conditioners, prompt, clip)
    ]
    shown = [
        f"{'else' if span is None else f'{span.start:g}-{span.end:g} s'}: {prompt or '(no prompt)'}"
        for span, prompt in entries
    ]
    return texts, "\n".join(shown)


def latent_format_of(vae: Any) -> LatentConfig:
    """The latent format of a VAE. Raises SettingsError where it is not an AudioX VAE."""
    latent_format = getattr(vae, "audiox_latents", None)
    if latent_format is None:
        raise SettingsError(
            "This is not an AudioX VAE: connect AudioX Load Checkpoint or AudioX Load VAE."
        )
    return latent_format


def time_ranges(text: str) -> tuple[Span, ...]:
    """The time ranges of a text widget; an empty one has none."""
    return parse_spans(text) if text.strip() else ()
