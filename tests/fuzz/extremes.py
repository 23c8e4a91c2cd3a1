"""Files that FFmpeg reads without an error, and that no one can want: huge rates, sizes, gaps."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial

import av

from .originals import ORIGINALS, Original, content

GAP = 1_000_000  # seconds between two packets


@cache
def wav(rate: int, channels: int = 1, seconds: float = 1.0) -> bytes:
    """A WAV file of 48,000 samples that claims a sample rate."""
    data = bytes(range(256)) * int(375 * seconds)
    width = 2 * channels
    head = struct.pack("<HHIIHH", 1, channels, rate, rate * width % (1 << 32), width, 16)
    chunks = b"fmt " + struct.pack("<I", len(head)) + head
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@cache
def png(width: int, height: int, colour: int = 2) -> bytes:
    """A black picture."""
    row = bytes(1 + width * {0: 1, 2: 3, 6: 4}[colour])
    packer = zlib.compressobj(1)
    parts = [packer.compress(row) for _ in range(height)]
    data = b"".join((*parts, packer.flush()))
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


@cache
def gap(suffix: str, *, video: bool) -> bytes:
    """A file whose second half comes eleven days later."""
    original = next(
        o for o in ORIGINALS if o.suffix == suffix and bool(o.video) == video and o.audio
    )
    output = io.BytesIO()
    with (
        av.open(io.BytesIO(content(original))) as source,
        av.open(output, "w", format=original.container) as target,
    ):
        copies = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is None:
                continue
            if packet.dts * packet.time_base > Fraction(1, 2):
                packet.pts += round(GAP / packet.time_base)
                packet.dts += round(GAP / packet.time_base)
            packet.stream = copies[packet.stream.index]
            target.mux(packet)
    return output.getvalue()


@cache
def sized(suffix: str, width: int, height: int) -> bytes:
    """A video of another size."""
    original = next(o for o in ORIGINALS if o.suffix == suffix and o.video)
    return content(replace(original, size=(width, height), seconds=0.2))


@cache
def many_channels(count: int) -> bytes:
    """A sound of many channels."""
    return wav(48_000, count)


def tiny(original: Original) -> bytes:
    """A file with a single frame or packet."""
    return content(replace(original, seconds=0.04))


EXTREMES: dict[str, Callable[[], bytes]] = {
    **{f"rate {rate}.wav": partial(wav, rate) for rate in (1, 7, 999, 768_001, 999_999_999)},
    **{f"rate {rate}.wav": partial(wav, rate) for rate in (44_101, 191_999, 2_147_483_647)},
    **{f"channels {count}.wav": partial(many_channels, count) for count in (3, 8, 64, 255, 1_000)},
    "16000 x 16000.png": partial(png, 16_000, 16_000),
    "16000 x 16000 alpha.png": partial(png, 16_000, 16_000, 6),
    "30000 x 1.png": partial(png, 30_000, 1),
    "1 x 30000.png": partial(png, 1, 30_000),
    "1 x 1.png": partial(png, 1, 1),
    "8192 x 32.mp4": partial(sized, ".mp4", 8_192, 32),
    "8192 x 4320.mkv": partial(sized, ".mkv", 8_192, 4_320),
    **{f"gap{suffix}": partial(gap, suffix, video=True) for suffix in (".mp4", ".mkv", ".mov")},
    **{
        f"gap video{suffix}": partial(gap, suffix, video=True)
        for suffix in (".webm", ".ts", ".flv")
    },
    **{f"gap sound{suffix}": partial(gap, suffix, video=False) for suffix in (".ogg", ".m4a")},
    **{
        f"one frame {o.kind}{o.suffix}": partial(tiny, o)
        for o in ORIGINALS
        if o.container
        and o.suffix in (".mp4", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".gif", ".wav")
    },
}
