"""Encode the picture of a video as H.264 where it cannot be copied; its times stay true."""

from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import av.filter
from av.video.reformatter import ColorRange, VideoReformatter

from .clip import FilePiece
from .files import exact_piece, open_output, replacing
from .timeline import PictureReader

_CRF = "16"  # of x264: the eye sees no difference
_TICK = Fraction(1, 90_000)  # seconds
_TURNS = {  # quarter turns counterclockwise -> FFmpeg's filters
    1: (("transpose", "cclock"),),
    2: (("hflip", None), ("vflip", None)),
    3: (("transpose", "clock"),),
}


def encode_picture(piece: FilePiece, output: Path) -> None:
    """Write the picture of a video, or of a part of it, as H.264 in MP4.

    Every frame that can be decoded is kept, at its time from the first one on, upright, with the
    colour tags and the depth (8 or 10 bits) of the source. An odd size loses one row or column.

    Args:
        piece: of the video.
        output: an MP4 file.

    Raises:
        MediaError: the video cannot be read, or the output cannot be written.
    """
    begin, length = exact_piece(piece.start, piece.seconds)
    end = None if length is None else begin + length
    with (
        PictureReader(piece.path) as reader,
        replacing(output) as temporary,
        open_output(temporary, "mp4", {"movflags": "+faststart"}) as target,
    ):
        stream, first, turned = None, Fraction(0), _Upright()
        converter = VideoReformatter()
        for timed in reader.frames_from(begin):
            if timed.time < begin:
                continue
            if end is not None and timed.time >= end:
                break
            frame = turned(timed.frame)
            if stream is None:
                stream, first = _stream(target, reader, frame), timed.time
            limited: dict[str, Any] = {}
            if frame.color_range == ColorRange.JPEG:
                limited = {"src_color_range": "JPEG", "dst_color_range": "MPEG"}
            size = stream.width, stream.height
            made = converter.reformat(frame, *size, stream.pix_fmt, **limited)
            made.pts, made.time_base = round((timed.time - first) / _TICK), _TICK
            made.pict_type = 0  # that of the source would force the encoder's
            target.mux(stream.encode(made))
        if stream is not None:
            target.mux(stream.encode(None))


class _Upright:
    """Turns frames as their display matrix says, to the nearest quarter turn."""

    def __init__(self) -> None:
        self._graphs: dict[tuple, av.filter.Graph] = {}  # by turn, size and format

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        turns = round(frame.rotation / 90) % 4
        if not turns:
            return frame
        kind = (turns, frame.width, frame.height, frame.format.name)
        graph = self._graphs.get(kind) or self._graphs.setdefault(kind, _graph(frame, turns))
        graph.push(frame)
        return cast(av.VideoFrame, graph.pull())


def _graph(frame: av.VideoFrame, turns: int) -> av.filter.Graph:
    graph = av.filter.Graph()
    last = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=_TICK
    )
    for name, argument in _TURNS[turns]:
        added = graph.add(name, argument)
        last.link_to(added)
        last = added
    last.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _stream(
    target: av.container.OutputContainer, reader: PictureReader, frame: av.VideoFrame
) -> av.VideoStream:
    """The stream for frames like the first one."""
    stream = cast(av.VideoStream, target.add_stream("libx264", rate=reader.rate))
    stream.options = {"crf": _CRF}
    context, source = stream.codec_context, reader.stream.codec_context
    context.time_base = _TICK
    context.max_b_frames = 0  # reordering would shift the times of an irregular rate
    stream.width, stream.height = (max(2, side - side % 2) for side in (frame.width, frame.height))
    deep = max(component.bits for component in frame.format.components) > 8
    stream.pix_fmt = "yuv420p10le" if deep else "yuv420p"
    for name in ("color_primaries", "color_trc", "colorspace"):
        setattr(context, name, getattr(source, name))
    return stream
