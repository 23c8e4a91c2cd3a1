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
from weakref import WeakKeyDictionary

from comfy_api.latest import InputImpl, Types
from torch import Tensor

from ...audiox_core.errors import MediaError, PictureError, one_line
from ...audiox_core.media.clip import (
    Clip,
    FilePiece,
    clip_from_clips,
    clip_from_file,
    clip_from_images,
    clip_from_timestamps,
)
from ...audiox_core.media.encode import encode_picture
from ...audiox_core.media.files import open_media
from ...audiox_core.media.formats import AAC
from ...audiox_core.media.mux import MuxOptions, mux_soundtrack
from ...audiox_core.media.resample import resample
from ...audiox_core.media.streams import holds
from ...audiox_core.media.timeline import picture_stream
from .files import temporary_folder
from .media import audio_of, waveform_of

log = logging.getLogger(__name__)

_QUALITY = {"crf": 16}  # of x264, where a picture has to be encoded: the eye sees no difference
_FIRST_PACKETS = 8  # among them are those to which Matroska gives no decoding time


def clip_of_video(video: Any) -> Clip:
    """A VIDEO with its edits: trimmed, cropped, a list of videos, or made in the graph."""
    if (parts := getattr(video, "videos", None)) is not None:
        clip = clip_from_clips([*map(clip_of_video, parts)])
        audio = getattr(video, "complete_audio", None)
        return clip if audio is None else replace(clip, sound=_sound(audio))
    if isinstance(video, InputImpl.VideoFromFile):
        path = _path_of(video)
        sizes = _sizes(path)
        # an edit that does not show in the size may not be saved, either
        shows = bool(sizes) and sorted(video.get_dimensions()) not in sizes
        edited = getattr(video, "has_pending_frame_edits", None)
        if not (shows if edited is None else edited()):
            start, seconds = _trim(video, path)
            if start > 0 or seconds > 0:
                return clip_from_timestamps(path, start, seconds or None)
            return clip_from_file(path)
        if shows and (saved := _as_saved(video)) is not None:
            return clip_from_file(saved)
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
        made, copied = _copied(video, clip.piece, waveform, sample_rate)
        if copied and video not in _saved:
            return made, "the video stream is copied"
        return made, "the video stream is re-encoded as H.264"
    if (rate := AAC.rate(sample_rate)) != sample_rate:  # ComfyUI's encoder takes no other
        waveform, sample_rate = resample(waveform, sample_rate, rate), rate
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


def _copied(video: Any, piece: FilePiece, waveform: Tensor, sample_rate: int) -> tuple[Any, bool]:
    """A temporary copy with this sound, and whether its picture is copied or encoded."""
    name = _temporary_file(_suffix_for(piece))
    try:
        mux_soundtrack(
            piece.path,
            waveform,
            sample_rate,
            Path(name),
            start=piece.start,
            seconds=piece.seconds,
            options=MuxOptions(exact=not piece.is_whole),
        )
        return InputImpl.VideoFromFile(name), True
    except PictureError as error:
        log.info("%s is re-encoded: %s", one_line(piece.path.name), error)
    encoded, name = _temporary_file(".mp4"), _temporary_file(".mp4")
    if piece.is_whole or not _save(video, encoded):
        encode_picture(piece, Path(encoded))
    mux_soundtrack(Path(encoded), waveform, sample_rate, Path(name))
    return InputImpl.VideoFromFile(name), False


def _suffix_for(piece: FilePiece) -> str:
    """The suffix of a temporary copy whose every packet Save Video keeps.

    Matroska stores no decoding times. Where FFmpeg cannot tell them at once, because frames are
    reordered, Save Video leaves the first packets out: such a stream goes into MP4. So does one of
    a file that is trimmed, as Matroska cannot hide the frames before its start.
    """
    with open_media(piece.path) as container:
        stream = picture_stream(container, piece.path.name)
        matroska = container.format.name.startswith("matroska")
        newer = hasattr(Types.VideoContainer, "MKV")  # others save MP4 only
        # Save Video writes MP4 unless it is told otherwise
        if matroska and newer and piece.is_whole and holds(".mp4", stream):
            packets = (packet for packet in container.demux(stream) if packet.size)
            if all(packet.dts is not None for packet in islice(packets, _FIRST_PACKETS)):
                others = {s.type for s in container.streams} - {"video", "audio"}
                return ".webm" if holds(".webm", stream) and not others else ".mkv"
    return ".mp4"


def _path_of(video: Any) -> Path:
    """The file of a VIDEO; one in memory is stored for as long as the VIDEO lives."""
    source = video.get_stream_source()
    if not isinstance(source, BytesIO):
        return Path(source)
    if video not in _stored:
        name = _temporary_file("", prefix="video in memory ")
        try:
            Path(name).write_bytes(source.getbuffer())
        except OSError as error:
            raise MediaError(
                f"A video in memory cannot be stored: {error.strerror}. Free some space in "
                f"{temporary_folder()}."
            ) from error
        _stored[video] = name
    return Path(_stored[video])


def _as_saved(video: Any) -> Path | None:
    """A VIDEO as ComfyUI saves it, for as long as the VIDEO lives; None if that lacks its edits."""
    if video not in _saved:
        name = _temporary_file(".mp4")
        if not _save(video, name) or sorted(video.get_dimensions()) not in _sizes(Path(name)):
            return None
        _saved[video] = name
    return Path(_saved[video])


def _save(video: Any, name: str) -> bool:
    """Let ComfyUI encode a VIDEO with its edits; whether it can."""
    quality = _QUALITY if "crf" in inspect.signature(video.save_to).parameters else {}
    kind = {"format": Types.VideoContainer.MP4, "codec": Types.VideoCodec.H264}
    try:
        video.save_to(str(name), **kind, **quality)
    except Exception as error:  # FFmpeg's and ComfyUI's errors have no common class
        log.info("ComfyUI cannot save the video: %s", error)
        return False
    return True


def _sizes(path: Path) -> list[list[int]]:
    """The sizes of the pictures of a file, sorted: they may be those of the upright picture."""
    with open_media(path) as container:
        return [sorted((s.width, s.height)) for s in container.streams.video]


def _trim(video: Any, path: Path) -> tuple[float, float]:
    """Start and length in seconds of a VIDEO's pending trim; 0 is to the end."""
    window = getattr(video, "get_active_trim_window", None)
    if window is None:
        return 0.0, 0.0
    try:
        start, seconds = window()
    except (ValueError, OSError) as error:  # it looks for the length of the file
        raise MediaError(
            f"The trim of {path.name} cannot be read: its length is not known. Convert the video "
            "to MP4 first."
        ) from error
    return float(start), float(seconds)


def _sound(audio: Mapping[str, Any] | None) -> Callable[[int], Tensor | None]:
    return lambda rate: None if audio is None else waveform_of(audio, rate)


class _Name(str):
    """The path of a temporary file, which is removed when no VIDEO has it any more.

    ComfyUI hands the very object on when it trims a video.
    """


# files that ComfyUI's videos need, by VIDEO: those in memory, and edited ones as they are saved
_stored: WeakKeyDictionary[Any, _Name] = WeakKeyDictionary()
_saved: WeakKeyDictionary[Any, _Name] = WeakKeyDictionary()


def _temporary_file(suffix: str, prefix: str = "audiox ") -> _Name:
    with NamedTemporaryFile(
        dir=temporary_folder(), prefix=prefix, suffix=suffix, delete=False
    ) as file:
        name = _Name(file.name)
    weakref.finalize(name, Path(name).unlink, missing_ok=True)
    return name
