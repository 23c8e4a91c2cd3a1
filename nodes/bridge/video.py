"""VIDEO <-> clips of the core, and a VIDEO with a new sound.

A VIDEO in a file is read by time and never decoded as a whole. One that was cropped or made in the
graph is used by its frames; a list of videos is read part by part.
"""

import inspect
import logging
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from comfy_api.latest import InputImpl, Types
from torch import Tensor

from ...audiox_core.errors import MediaError
from ...audiox_core.media.clip import (
    Clip,
    FilePiece,
    clip_from_clips,
    clip_from_file,
    clip_from_images,
    clip_from_timestamps,
)
from ...audiox_core.media.files import open_media
from ...audiox_core.media.mux import mux_soundtrack
from ...audiox_core.media.streams import codec_name, holds
from ...audiox_core.media.timeline import picture_stream
from .files import temporary_folder
from .media import audio_of, waveform_of

log = logging.getLogger(__name__)

_QUALITY = {"crf": 16}  # of x264, where a picture has to be encoded: the eye sees no difference
_FIRST_PACKETS = 8  # among them are those to which Matroska gives no decoding time


def clip_of_video(video: Any) -> Clip:
    """A VIDEO with its edits: trimmed, cropped, a list of videos, or made in the graph."""
    if (parts := getattr(video, "videos", None)) is not None:
        clip, audio = clip_from_clips([*map(clip_of_video, parts)]), _audio_of_list(video)
        return clip if audio is None else replace(clip, sound=_sound(audio))
    if isinstance(video, InputImpl.VideoFromFile):
        path = _path_of(video)
        if not _is_reframed(video, path):
            start, seconds = _trim(video)
            if start > 0 or seconds > 0:
                return clip_from_timestamps(path, start, seconds or None)
            return clip_from_file(path)
    components = video.get_components()
    sound = _sound(components.audio)
    return clip_from_images(components.images, components.frame_rate, sound)


def with_sound(video: Any, clip: Clip, waveform: Tensor, sample_rate: int) -> tuple[Any, str]:
    """Replace the sound of a VIDEO.

    Args:
        video: VIDEO.
        clip: of this video.
        waveform: `2 n`, as long as the clip.
        sample_rate: Hz.

    Returns:
        The VIDEO, and what happens to its picture, for the node to show.
    """
    if clip.piece is not None:
        return _copied(video, clip.piece, waveform, sample_rate)
    audio = audio_of(waveform[None], sample_rate)
    if hasattr(video, "videos"):
        return type(video)(video.videos, complete_audio=audio), "each video is saved as it is"
    components = video.get_components()
    rate = Fraction(components.frame_rate)
    made = replace(components, audio=audio, frame_rate=rate)  # newer ones have alpha, too
    getters = {"bit_depth": "get_bit_depth", "color_space": "get_color_space"}
    known = inspect.signature(InputImpl.VideoFromComponents).parameters
    kept = {
        name: getattr(video, getter)()
        for name, getter in getters.items()
        if name in known and hasattr(video, getter)
    }
    return InputImpl.VideoFromComponents(made, **kept), "the frames are encoded when saved"


def _copied(video: Any, piece: FilePiece, waveform: Tensor, sample_rate: int) -> tuple[Any, str]:
    """A temporary copy with this sound; the picture is copied, or else encoded by ComfyUI."""
    suffix, advice = _container_for(piece)
    name = _temporary_file(suffix)
    try:
        mux_soundtrack(
            piece.path,
            waveform,
            sample_rate,
            Path(name),
            start=piece.start,
            seconds=piece.seconds,
            exact=not piece.is_whole,
        )
        return InputImpl.VideoFromFile(name), f"the video stream is copied{advice}"
    except MediaError as error:
        log.info("%s is re-encoded: %s", piece.path.name, error)
        reason = error
    encoded, name = _temporary_file(".mp4"), _temporary_file(".mp4")
    quality = _QUALITY if "crf" in inspect.signature(video.save_to).parameters else {}
    try:
        video.save_to(
            str(encoded), format=Types.VideoContainer.MP4, codec=Types.VideoCodec.H264, **quality
        )
    except Exception as error:  # FFmpeg's and ComfyUI's errors have no common class
        raise MediaError(f"{reason} ComfyUI cannot encode it either ({error}).") from error
    mux_soundtrack(Path(encoded), waveform, sample_rate, Path(name))
    return InputImpl.VideoFromFile(name), "the video stream is re-encoded as H.264"


def _container_for(piece: FilePiece) -> tuple[str, str]:
    """The suffix of a temporary copy whose every packet Save Video keeps, and advice for it.

    Matroska stores no decoding times. Where FFmpeg cannot tell them at once, because frames are
    reordered, Save Video leaves the first packets out: such a stream goes into MP4.
    """
    with open_media(piece.path) as container:
        stream = picture_stream(container, piece.path.name)
        if (
            piece.is_whole
            and container.format.name.startswith("matroska")
            and hasattr(Types.VideoContainer, "MKV")
        ):
            packets = (packet for packet in container.demux(stream) if packet.size)
            if all(packet.dts is not None for packet in islice(packets, _FIRST_PACKETS)):
                suffix = ".webm" if piece.path.suffix.lower() == ".webm" else ".mkv"
                needed = not holds(".mp4", stream)
                advice = f"; MP4 cannot store {codec_name(stream)}: save it as {suffix[1:]}"
                return suffix, advice if needed else ""
    return ".mp4", ""


def _path_of(video: Any) -> Path:
    """The file of a VIDEO; one in memory is stored for as long as the VIDEO lives."""
    source = video.get_stream_source()
    if not isinstance(source, BytesIO):
        return Path(source)
    with NamedTemporaryFile(dir=temporary_folder(), delete=False) as file:
        file.write(source.getvalue())
    _remove_with(video, Path(file.name))
    return Path(file.name)


def _is_reframed(video: Any, path: Path) -> bool:
    """Whether a VIDEO has edits that its stream does not show: a crop, or another size."""
    if (edited := getattr(video, "has_pending_frame_edits", None)) is not None:
        return edited()
    with open_media(path) as container:
        sizes = [sorted((s.width, s.height)) for s in container.streams.video]
    # sorted: the dimensions may be those of the stored or of the upright picture
    return bool(sizes) and sorted(video.get_dimensions()) not in sizes


def _trim(video: Any) -> tuple[float, float]:
    """Start and length in seconds of a VIDEO's pending trim; 0 is to the end."""
    window = getattr(video, "get_active_trim_window", None)
    return (0.0, 0.0) if window is None else tuple(map(float, window()))


def _sound(audio: Mapping[str, Any] | None) -> Callable[[int], Tensor | None]:
    return lambda rate: None if audio is None else waveform_of(audio, rate)


def _audio_of_list(video: Any) -> Mapping[str, Any] | None:
    """The sound that a list of videos has as a whole."""
    return getattr(video, "complete_audio", None)


class _Name(str):
    """The path of a temporary file, which is removed when no VIDEO has it any more.

    ComfyUI hands the very object on when it trims a video.
    """


def _temporary_file(suffix: str) -> _Name:
    with NamedTemporaryFile(dir=temporary_folder(), suffix=suffix, delete=False) as file:
        name = _Name(file.name)
    _remove_with(name, Path(name))
    return name


def _remove_with(owner: object, path: Path) -> None:
    weakref.finalize(owner, path.unlink, missing_ok=True)
