"""Where the elements of a container lie: MP4 boxes, EBML elements, RIFF chunks, Ogg pages, …

Damage that a demuxer does not skip at once has to hit an element's size or numbers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

Order = Literal["big", "little"]


@dataclass(frozen=True)
class Element:
    """One element: `data[start:end]`, its payload from `payload` on."""

    kind: bytes
    start: int
    payload: int
    end: int
    order: Order
    size: tuple[int, int] | None = None  # where its size lies, and how many bytes long


Walker = Callable[[bytes], Iterator[Element]]

_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"moof", b"traf", b"dinf"}
_EBML_MASTERS = {  # Segment, SeekHead, Seek, Info, Tracks, TrackEntry, Video, Audio, Cluster, …
    bytes.fromhex(number)
    for number in (
        "18538067", "114d9b74", "4dbb", "1549a966", "1654ae6b", "ae", "e0", "e1", "1f43b675", "a0",
        "1c53bb6b", "bb", "b7", "1254c367", "7373", "67c8", "63c0", "55b0", "1a45dfa3",
    )
}  # fmt: skip
_RIFF_LISTS = {b"RIFF", b"LIST", b"RIFX"}
_TS_PACKET = 188


def boxes(data: bytes, begin: int = 0, stop: int | None = None) -> Iterator[Element]:
    """Boxes of MP4 and MOV, at any depth."""
    at, stop = begin, len(data) if stop is None else stop
    while at + 8 <= stop:
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = stop if size == 0 else at + size
        if end < at + 8 or end > stop:
            return
        yield Element(kind, at, at + 8, end, "big", (at, 4))
        if kind in _BOXES:
            yield from boxes(data, at + 8, end)
        elif kind == b"stsd":
            yield from boxes(data, at + 16, end)
        at = end


def ebml(data: bytes, begin: int = 0, stop: int | None = None) -> Iterator[Element]:
    """Elements of Matroska and WebM, at any depth."""
    at, stop = begin, len(data) if stop is None else stop
    while at + 2 <= stop and data[at]:
        size_at = at + 9 - data[at].bit_length()
        if size_at >= stop or not data[size_at]:
            return
        length = 9 - data[size_at].bit_length()
        ones = (1 << 7 * length) - 1
        size = int.from_bytes(data[size_at : size_at + length], "big") & ones
        payload = size_at + length
        end = stop if size == ones else payload + size
        if end > stop:
            return
        kind = data[at:size_at]
        yield Element(kind, at, payload, end, "big", (size_at, length))
        if kind in _EBML_MASTERS:
            yield from ebml(data, payload, end)
        at = end


def riff(data: bytes, begin: int = 0, stop: int | None = None) -> Iterator[Element]:
    """Chunks of WAV, AVI and WebP, at any depth."""
    at, stop = begin, len(data) if stop is None else stop
    while at + 8 <= stop:
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        end = min(at + 8 + size, stop)
        yield Element(kind, at, at + 8, end, "little", (at + 4, 4))
        if kind in _RIFF_LISTS:
            yield from riff(data, at + 12, end)
        at = end + end % 2


def aiff(data: bytes) -> Iterator[Element]:
    """Chunks of AIFF."""
    at = 12
    while at + 8 <= len(data):
        end = min(at + 8 + int.from_bytes(data[at + 4 : at + 8], "big"), len(data))
        yield Element(data[at : at + 4], at, at + 8, end, "big", (at + 4, 4))
        at = end + end % 2


def png(data: bytes) -> Iterator[Element]:
    """Chunks of PNG; FFmpeg does not look at their checksums."""
    at = 8
    while at + 12 <= len(data):
        end = min(at + 12 + int.from_bytes(data[at : at + 4], "big"), len(data))
        yield Element(data[at + 4 : at + 8], at, at + 8, end, "big", (at, 4))
        at = end


def ogg(data: bytes) -> Iterator[Element]:
    """Pages of Ogg; the payload begins with flags, time and serial number."""
    at = data.find(b"OggS")
    while at >= 0:
        following = data.find(b"OggS", at + 4)
        end = following if following >= 0 else len(data)
        yield Element(b"OggS", at, at + 5, end, "little", (at + 26, 1))
        at = following


def asf(data: bytes, begin: int = 0, stop: int | None = None) -> Iterator[Element]:
    """Objects of ASF; the header object holds others."""
    at, stop = begin, len(data) if stop is None else stop
    while at + 24 <= stop:
        end = at + int.from_bytes(data[at + 16 : at + 24], "little")
        if end < at + 24 or end > stop:
            return
        yield Element(data[at : at + 4], at, at + 24, end, "little", (at + 16, 8))
        if at == 0:
            yield from asf(data, 30, end)
        at = end


def flv(data: bytes) -> Iterator[Element]:
    """Tags of FLV: after the size come the time and the stream."""
    at = 13
    while at + 11 <= len(data):
        end = min(at + 15 + int.from_bytes(data[at + 1 : at + 4], "big"), len(data))
        yield Element(data[at : at + 1], at, at + 4, end, "big", (at + 1, 3))
        at = end


def transport(data: bytes) -> Iterator[Element]:
    """Packets of a transport stream."""
    for at in range(0, len(data) - _TS_PACKET + 1, _TS_PACKET):
        kind = bytes((data[at + 1] & 0x1F, data[at + 2]))
        yield Element(kind, at, at + 4, at + _TS_PACKET, "big", (at + 4, 1))


def start_codes(data: bytes) -> Iterator[Element]:
    """What lies between start codes, in MPEG program streams and bare H.264."""
    at = data.find(b"\0\0\1")
    while at >= 0:
        following = data.find(b"\0\0\1", at + 3)
        end = following if following >= 0 else len(data)
        yield Element(data[at + 3 : at + 4], at, at + 4, end, "big", (at + 4, 2))
        at = following


def jpeg(data: bytes) -> Iterator[Element]:
    """Segments of JPEG up to the picture's data."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        end = min(at + 2 + int.from_bytes(data[at + 2 : at + 4], "big"), len(data))
        yield Element(data[at + 1 : at + 2], at, at + 4, end, "big", (at + 2, 2))
        at = end


WALKERS: dict[str, Walker] = {
    **dict.fromkeys((".mp4", ".mov", ".3gp", ".m4a"), boxes),
    **dict.fromkeys((".mkv", ".webm"), ebml),
    **dict.fromkeys((".wav", ".avi", ".webp"), riff),
    **dict.fromkeys((".ogg", ".opus"), ogg),
    **dict.fromkeys((".wmv", ".wma"), asf),
    **dict.fromkeys((".ts", ".m2ts"), transport),
    **dict.fromkeys((".mpg", ".h264"), start_codes),
    ".aiff": aiff,
    ".flv": flv,
    ".jpg": jpeg,
    ".png": png,
}


def ogg_with_checksums(data: bytes) -> bytes:
    """Ogg pages with the checksums that they need to be read."""
    fixed = bytearray(data)
    for page in ogg(data):
        if page.end - page.start >= 27:
            fixed[page.start + 22 : page.start + 26] = bytes(4)
            crc = _checksum(fixed[page.start : page.end])
            fixed[page.start + 22 : page.start + 26] = crc.to_bytes(4, "little")
    return bytes(fixed)


def _checksum(page: bytes) -> int:
    """The CRC-32 of Ogg: the usual polynomial, bits not reflected."""
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _TABLE[crc >> 24 ^ byte]
    return crc


def _table_entry(value: int) -> int:
    value <<= 24
    for _ in range(8):
        value = value << 1 ^ (0x04C11DB7 if value & 1 << 31 else 0)
    return value & 0xFFFFFFFF


_TABLE = [_table_entry(value) for value in range(256)]
