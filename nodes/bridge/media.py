"""AUDIO, IMAGE and VIDEO <-> clips and tensors of the core.

A VIDEO in a file is read by time and never decoded as a whole; for one that was made or edited in
the graph, its frames are used.
"""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from comfy_api.latest import InputImpl
from torch import Tensor

from ...audiox_core.errors import SettingsError
from ...audiox_core.media.clip import Clip, clip_from_file, clip_from_images
from ...audiox_core.media.image_batch import check_images, to_pixels
from ...audiox_core.media.mux import VIDEO_SUFFIXES, mux_soundtrack
from ...audiox_core.media.resample import resample
from .files import temporary_folder


def clip_of_video(video: Any) -> Clip:
    """A VIDEO, its pending trim applied."""
    path = _file_of(video)
    if path is not None:
        start, seconds = _trim(video)
        return clip_from_file(path, start=start, seconds=seconds or None)
    parts = video.get_components()

    def sound(rate: int) -> Tensor | None:
        return None if parts.audio is None else waveform_of(parts.audio, rate)

    return clip_from_images(parts.images, parts.frame_rate, sound)


def _file_of(video: Any) -> Path | None:
    """The file behind a VIDEO; None where it was made or edited in the graph."""
    edited = getattr(video, "has_pending_frame_edits", None)
    if not isinstance(video, InputImpl.VideoFromFile) or (edited is not None and edited()):
        return None
    source = video.get_stream_source()
    if not isinstance(source, BytesIO):
        return Path(source)
    suffix = f".{video.get_container_format().split(',')[0]}"
    with NamedTemporaryFile(dir=temporary_folder(), suffix=suffix, delete=False) as file:
        file.write(source.getvalue())
    return Path(file.name)


def _trim(video: Any) -> tuple[float, float]:
    """Start and length in seconds of a VIDEO's pending trim; 0 is to the end."""
    window = getattr(video, "get_active_trim_window", None)
    return (0.0, 0.0) if window is None else tuple(map(float, window()))


def waveform_of(audio: Mapping[str, Any] | None, sample_rate: int) -> Tensor:
    """AUDIO of any rate and channel count -> `2 n` float32; only the first of a batch is used."""
    if audio is None:
        raise SettingsError(
            "There is no audio: the video has no audio track. Connect another AUDIO, or "
            "disconnect the input."
        )
    waveform = audio["waveform"]
    if waveform.ndim != 3 or not all(waveform.shape):
        raise SettingsError(
            f"The audio has the shape {tuple(waveform.shape)}: expected (batch, channels, "
            "samples) with at least one sample."
        )
    first = waveform[0].detach().cpu()
    if not first.is_floating_point():
        first = first.float() / 2 ** (8 * first.element_size() - 1)
    first = first.float()
    if not first.isfinite().all():
        raise SettingsError("The audio contains NaN or infinite samples: generate it again.")
    stereo = first.expand(2, -1) if len(first) == 1 else first[:2]
    return resample(stereo.contiguous(), int(audio["sample_rate"]), sample_rate)


def audio_of(waveform: Tensor, sample_rate: int) -> dict[str, Any]:
    """Sound `b c n` -> AUDIO."""
    return {"waveform": waveform.detach().cpu().float().contiguous(), "sample_rate": sample_rate}


def with_sound(video: Any, clip: Clip, waveform: Tensor, sample_rate: int) -> tuple[Any, str]:
    """A VIDEO with this audio `2 n`, and whether its video stream is copied or re-encoded."""
    if clip.path is not None:
        known = clip.path.suffix.lower() in VIDEO_SUFFIXES
        suffix = clip.path.suffix.lower() if known else ".mkv"
        with NamedTemporaryFile(dir=temporary_folder(), suffix=suffix, delete=False) as file:
            target = Path(file.name)
        mux_soundtrack(clip.path, waveform, sample_rate, target)
        return InputImpl.VideoFromFile(str(target)), "the video stream is copied"
    parts = video.get_components()
    rate, sound = Fraction(parts.frame_rate), audio_of(waveform[None], sample_rate)
    made = replace(parts, audio=sound, frame_rate=rate)  # newer ones have alpha, too
    depth = getattr(video, "get_bit_depth", None)
    kept = {} if depth is None else {"bit_depth": depth()}
    return InputImpl.VideoFromComponents(made, **kept), "re-encoded when saved"


def first_image(images: Tensor) -> Tensor:
    """The first image of an IMAGE batch -> `3 h w` in 0..255 float32."""
    check_images(images)
    return to_pixels(images[0]).float()
