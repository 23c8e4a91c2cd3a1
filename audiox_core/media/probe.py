"""Which streams a media file has, from its header: nothing is decoded."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av.container

from ..errors import MediaError
from .files import open_media, time_base
from .timeline import is_cover, is_still, picture_stream


@dataclass(frozen=True)
class MediaInfo:
    """Streams of a file and the length of its sound."""

    has_sound: bool
    has_picture: bool  # a video stream; cover images do not count
    seconds: float = 0.0  # of the sound


def media_kind(path: Path) -> Literal["video", "image", "audio"]:
    """What a file is, by its content.

    Raises:
        MediaError: missing, empty or not media.
    """
    with open_media(path) as container:
        if any(not is_cover(stream) for stream in container.streams.video):
            return "image" if is_still(container) else "video"
        if container.streams.audio:
            return "audio"
    raise MediaError(f"{path.name} contains no picture and no audio: choose another file.")


def probe_media(path: Path) -> MediaInfo:
    """Read a file's header; if it has no duration, also the times of its packets.

    Raises:
        MediaError: missing, empty or not media.
    """
    with open_media(path) as container:
        try:
            picture_stream(container, Path(path).name)
            has_picture = True
        except MediaError:
            has_picture = False
        if not container.streams.audio:
            return MediaInfo(has_sound=False, has_picture=has_picture)
        return MediaInfo(
            has_sound=True,
            has_picture=has_picture,
            seconds=float(_seconds(container, container.streams.audio[0])),
        )


def _seconds(container: av.container.InputContainer, stream: av.AudioStream) -> Fraction:
    if stream.duration:
        return stream.duration * time_base(stream)
    if container.duration:
        return Fraction(container.duration, av.time_base)
    first, last = None, Fraction(0)
    for packet in container.demux(stream):
        if packet.size and packet.pts is not None:
            first = packet.pts * packet.time_base if first is None else first
            last = (packet.pts + (packet.duration or 0)) * packet.time_base
    return last - (first or 0)
