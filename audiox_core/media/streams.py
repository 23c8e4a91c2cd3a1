"""Which streams of a video are copied, with which tags and chapters.

A stream that the container cannot store is left out with a warning that names it; the video
stream is required.
"""

import io
import logging
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av.container
import av.error
import av.stream
from av.stream import Disposition

from ..errors import PictureError
from .files import open_media
from .formats import FORMATS
from .timeline import is_cover

log = logging.getLogger(__name__)

_SUGGESTIONS = (".mp4", ".webm", ".mkv", ".mov")  # in this order, the first two that hold it
_OWN_TAGS = {"encoder", "major_brand", "minor_version", "compatible_brands"}  # the writer's own
# Facts about the old file that Matroska keeps as tags: they are not true of a copy
_STATISTICS = ("DURATION", "BPS", "NUMBER_OF_", "_STATISTICS")
# What MP4 has a place for; other names need free-form tags (ComfyUI keeps its workflow in one)
_MP4_TAGS = {
    "album", "album_artist", "artist", "comment", "compilation", "composer", "copyright",
    "creation_time", "date", "description", "disc", "episode_id", "genre", "grouping", "keywords",
    "location", "lyrics", "network", "show", "synopsis", "title", "track",
}  # fmt: skip


def is_mp4_like(suffix: str) -> bool:
    """Whether a suffix means the MP4 family, which has edit lists."""
    return FORMATS[suffix] in ("mp4", "mov")


def kept_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """The tags that are still correct in a copy."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _OWN_TAGS and not key.upper().startswith(_STATISTICS)
    }


def muxer_options(
    suffix: str, metadata: dict[str, str], *, index_first: bool = True
) -> dict[str, str]:
    """Options of FFmpeg's muxer for a container.

    Args:
        suffix: of the file, such as ".mp4".
        metadata: tags that will be written.
        index_first: bring the index to the front of an MP4 file, which reads the file again.
    """
    if not is_mp4_like(suffix):
        return {}
    free = {key.lower() for key in metadata} - _MP4_TAGS
    flags = ("+faststart" if index_first else "") + ("+use_metadata_tags" if free else "")
    return {"movflags": flags} if flags else {}


def check_picture(stream: av.VideoStream, video: Path, suffix: str) -> None:
    """Check that a container can store the video stream; nothing is written.

    Args:
        stream: of the source.
        video: path of the source, for messages.
        suffix: of the copy.

    Raises:
        PictureError: it cannot; the message names containers that can.
    """
    try:
        _write_header(suffix, stream)
    except (ValueError, av.error.FFmpegError) as error:
        codec = codec_name(stream)
        better = [other for other in _SUGGESTIONS if other != suffix and holds(other, stream)]
        remedy = "Convert the video to MP4 first"
        if better:
            remedy = f"[[Choose an output that ends in {' or '.join(better[:2])}|{remedy}]]"
        raise PictureError(
            f"{suffix} files cannot store the {codec} video stream of {video.name}. {remedy}."
        ) from error


def add_other(
    target: av.container.OutputContainer, stream: av.stream.Stream, video: Path, suffix: str
) -> av.stream.Stream | None:
    """Add a stream of any other kind; None with a warning if the container cannot store it.

    Args:
        target: the copy.
        stream, video, suffix: as in `check_picture`.
    """
    if _is_rewritten(stream, suffix):
        return None
    try:
        if is_cover(stream) and not is_mp4_like(suffix):
            _attach_cover(target, stream, video, suffix)
            return None
        _write_header(suffix, stream)
        return copy_stream(target, stream)
    except (ValueError, TypeError, AttributeError, av.error.FFmpegError):
        log.warning(
            "%s files cannot store the %s stream %d (%s) of the video: it is left out",
            suffix,
            stream.type,
            stream.index,
            codec_name(stream) or "unknown",
        )
        return None


def copy_stream(target: av.container.OutputContainer, stream: av.stream.Stream) -> av.stream.Stream:
    """Add a stream for unchanged packets of `stream`, with its tags, language and role.

    The original audio is copied beside the new soundtrack, so it is not played by default.

    Args:
        target: the copy.
        stream: of the source.
    """
    made = target.add_stream_from_template(stream, opaque=True)
    made.metadata.update(kept_metadata(stream.metadata))
    role = stream.disposition
    role = role & ~Disposition.default if stream.type == "audio" else role
    made.disposition = role.value  # PyAV 14 wants the number
    if codec_name(stream) == "hevc" and target.format.name in ("mp4", "mov"):
        made.codec_context.codec_tag = "hvc1"  # FFmpeg's own choice, hev1, is black on Apple's
    return made


def copy_chapters(
    source: av.container.InputContainer,
    target: av.container.OutputContainer,
    shift: Fraction,
    end: Fraction | None,
) -> None:
    """Copy the chapters between two times, moved to begin at 0.

    Args:
        source, target: open files.
        shift: start of the copied part, seconds.
        end: end of the copied part, seconds; None copies all.
    """
    if not hasattr(source, "chapters"):  # PyAV before 14.3
        log.info("This PyAV cannot copy chapters: update the package av to keep them")
        return
    kept = []
    for chapter in source.chapters():
        unit = chapter["time_base"] or Fraction(1, av.time_base)
        last = chapter["end"] if end is None else min(chapter["end"], round(end / unit))
        first = max(chapter["start"], round(shift / unit))
        if first < last:
            moved = round(shift / unit)
            kept.append({**chapter, "start": first - moved, "end": last - moved})
    target.set_chapters(kept)


def codec_name(stream: av.stream.Stream) -> str:
    """FFmpeg's name of a stream's codec, whichever decoder it takes; empty where unknown."""
    context = stream.codec_context
    if context is None:
        return getattr(stream, "name", None) or ""
    return getattr(context.codec, "canonical_name", None) or context.name


def _is_rewritten(stream: av.stream.Stream, suffix: str) -> bool:
    """Chapter and time code tracks of MP4, which the muxer writes again from chapters and tags."""
    return stream.type == "data" and is_mp4_like(suffix) and codec_name(stream) in ("bin_data", "")


def _attach_cover(
    target: av.container.OutputContainer, stream: av.stream.Stream, video: Path, suffix: str
) -> None:
    """In Matroska a cover is an attached file."""
    kinds = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
    if suffix != ".mkv" or codec_name(stream) not in kinds:
        raise ValueError("no place for a cover")
    with open_media(video) as source:  # again: the position of the caller must not change
        packets = source.demux(source.streams[stream.index])
        data = next(bytes(packet) for packet in packets if packet.size)
    target.add_attachment(*kinds[codec_name(stream)], data)


def holds(suffix: str, stream: av.stream.Stream) -> bool:
    """Whether a container can store a stream; nothing is written."""
    with suppress(ValueError, av.error.FFmpegError):
        _write_header(suffix, stream)
        return True
    return False


def _write_header(suffix: str, stream: av.stream.Stream) -> None:
    """Write the header of a file in memory: some containers refuse a codec only then."""
    target = av.open(io.BytesIO(), "w", format=FORMATS[suffix])
    try:
        copy_stream(target, stream)
        target.start_encoding()
    finally:
        with suppress(ValueError, av.error.FFmpegError):
            target.close()
