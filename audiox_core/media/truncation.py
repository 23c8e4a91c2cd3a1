"""What the bytes of a file say that FFmpeg does not report.

A Matroska header gives the size and duration of a file that may be truncated; GIF and JPEG files
are parsed block by block; an animated WebP has a chunk that says so.
"""

import re
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error

from ..errors import MediaError
from .files import open_media

_HEAD = 1 << 16  # bytes that hold the header of a Matroska file
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_INFO_DURATION = re.compile(
    rb"\x15\x49\xa9\x66.{1,1024}?\x44\x89(\x84(?=.{4})|\x88(?=.{8}))", re.DOTALL
)
_FLOATS = {b"\x84": ">f", b"\x88": ">d"}  # by the byte of their size
_MILLISECOND = b"\x2a\xd7\xb1\x83\x0f\x42\x40"  # the unit of time that FFmpeg writes
_MISSING = Fraction(1, 2)  # seconds
_MISSING_FRAMES = 2
_FAR_FUTURE = 10**13  # microseconds; later than any end
_WEBP_HEAD, _ANIMATED = 21, 0x02  # bytes up to the flags, and the flag
_ALONE = {0x01, *range(0xD0, 0xD9)}  # JPEG's markers without a length


def refuse_cut_matroska(path: Path, rate: Fraction | None = None) -> None:
    """Raise if a Matroska or WebM file is truncated.

    Recordings without a duration in the header pass, and so do files that lack a few frames.

    Args:
        path: a file of this format.
        rate: frames per second of its video.

    Raises:
        MediaError: bytes are missing, and no stream reaches the duration of the header.
    """
    head = _MatroskaHead.of(path)
    if not head.seconds or (head.size is not None and path.stat().st_size >= head.size):
        return
    with open_media(path) as container:
        promised = Fraction(container.duration or 0, av.time_base)
    found = _last_end(path)
    if promised - found > max(_MISSING, _MISSING_FRAMES / rate if rate else 0):
        raise MediaError(
            f"{path.name} is truncated: its header says {float(promised):.2f} s, but it "
            f"contains {float(found):.2f} s. Export or download it again."
        )


def set_matroska_duration(path: Path, seconds: Fraction) -> None:
    """Write the duration into a file that FFmpeg wrote.

    FFmpeg includes the silence that audio encoders put before the sound and players skip.

    Args:
        path: a Matroska file.
        seconds: its duration.
    """
    head = _MatroskaHead.of(path)
    if head.seconds and head.in_milliseconds:
        with path.open("r+b") as file:
            file.seek(head.place)
            file.write(struct.pack(head.kind, float(seconds * 1000)))


def refuse_cut_picture(path: Path) -> None:
    """Raise if a GIF or JPEG file is truncated; other files pass.

    Raises:
        MediaError: the file ends within a block.
    """
    with path.open("rb") as file:
        start = file.read(4)
        cut = _CUT_PICTURES.get(start[:2])
        if cut is None or not cut(start + file.read()):
            return
    raise MediaError(f"{path.name} is truncated: its end is missing. Export or download it again.")


def is_animated_webp(path: Path) -> bool:
    """Whether a WebP file holds an animation, which FFmpeg reads as a broken still image."""
    with path.open("rb") as file:
        head = file.read(_WEBP_HEAD)
    return head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8X" and bool(head[20] & _ANIMATED)


@dataclass(frozen=True)
class _MatroskaHead:
    """Size and duration in the header of a file; live streams have neither."""

    size: int | None = None  # bytes
    seconds: float = 0.0  # in the file's own unit
    place: int = 0  # of this number
    kind: str = ""  # of this number, as `struct` names it
    in_milliseconds: bool = False

    @staticmethod
    def of(path: Path) -> "_MatroskaHead":
        with path.open("rb") as file:
            data = file.read(_HEAD)
        if not data.startswith(_EBML):
            return _MatroskaHead()
        length, at = _number(data, len(_EBML))
        segment = data.find(_SEGMENT, at + (length or 0))
        if segment < 0:
            return _MatroskaHead()
        length, at = _number(data, segment + len(_SEGMENT))
        size = None if length is None else at + length
        found = _INFO_DURATION.search(data, at)
        if found is None:
            return _MatroskaHead(size)
        kind = _FLOATS[found[1]]
        value = data[found.end() :][: struct.calcsize(kind)]
        seconds = struct.unpack(kind, value)[0]
        return _MatroskaHead(size, seconds, found.end(), kind, _MILLISECOND in found[0])


def _number(data: bytes, at: int) -> tuple[int | None, int]:
    """Read a size in Matroska's coding (None if unknown), and the position after it."""
    if at >= len(data):
        return None, at
    length = 9 - data[at].bit_length()  # from the leading zeros
    ones = (1 << 7 * length) - 1
    value = int.from_bytes(data[at : at + length], "big") & ones
    return None if value == ones else value, at + length


def _last_end(path: Path) -> Fraction:
    """When the last packet of any stream ends."""
    for seeking in (True, False):
        with open_media(path) as container:
            try:
                if seeking:
                    container.seek(_FAR_FUTURE)
            except av.error.FFmpegError:
                continue
            ends = [
                (packet.pts + (packet.duration or 0)) * packet.time_base
                for packet in container.demux()
                if packet.size and packet.pts is not None
            ]
        if ends:
            return max(ends)
    return Fraction(0)


def _is_cut_jpeg(data: bytes) -> bool:
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        marker = data[at + 1]
        if marker == 0xDA:  # the image data, which contain no end marker
            return data.find(b"\xff\xd9", at) < 0
        if marker == 0xFF:  # filling
            at += 1
        else:
            at += 2 if marker in _ALONE else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return True


def _is_cut_gif(data: bytes) -> bool:
    """Whether the data end within a block; the closing byte of a file is often left out."""
    at = 13 + _colours(data, 10)
    while at < len(data) and data[at] != 0x3B:
        if data[at] == 0x21:  # an extension
            at += 2
        else:  # a picture
            at += 11 + _colours(data, at + 9)
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return at > len(data)


def _colours(data: bytes, at: int) -> int:
    """Bytes of the colour table that the flags at `at` announce."""
    flags = data[at] if at < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


_CUT_PICTURES = {b"GI": _is_cut_gif, b"\xff\xd8": _is_cut_jpeg}
