"""Which packets of a video make up a copy of it, or of a piece of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import ceil, floor
from pathlib import Path

import av.container
import av.stream

from ..errors import MediaError, PictureError
from .files import packets_of, seek
from .timeline import is_cover, jumping, packet_time

_INTERLEAVE = Fraction(2)  # seconds by which streams may lie apart in a file
_AUDIO_RUN_UP = Fraction(1, 10)  # seconds
_STEPS_BACK = (0, 1, 5, 30)  # seconds; some containers land behind the wanted keyframe


@dataclass(frozen=True)
class Span:
    """The part that is copied, in seconds of the source."""

    start: Fraction
    end: Fraction
    from_beginning: bool  # including packets before the first frame


@dataclass(frozen=True)
class Source:
    """A video that is open for copying."""

    container: av.container.InputContainer
    picture: av.VideoStream
    path: Path

    def packets(
        self, indices: list[int], span: Span, *, run_up: bool, exact: bool
    ) -> Iterator[av.Packet]:
        """Packets of a piece in the file's order, on the source's time, with decoding times.

        Args:
            indices: of the streams.
            span: the piece; it begins with the keyframe at or before its start.
            run_up: audio from shortly before the start comes along, which the next packets need.
            exact: raise where frames after the end would be shown.

        Raises:
            MediaError: the timestamps of the picture are missing or jump back, it has no keyframe
                to begin with, or (`exact`) frames before the end depend on frames after it.
        """
        # some containers list fewer streams when they are opened again
        streams = [stream for stream in self.container.streams if stream.index in indices]
        if span.from_beginning:
            packets = self._demux(streams)
        else:
            packets = self._from_keyframe(streams, span.start)
        kept = self._kept(packets, span, run_up=run_up, exact=exact)
        return _with_decoding_times(kept, self.picture.index)

    def _kept(
        self, packets: Iterator[av.Packet], span: Span, *, run_up: bool, exact: bool
    ) -> Iterator[av.Packet]:
        beyond: list[av.Packet] = []  # shown after the end, but a later packet may need them
        last: Fraction | None = None
        for packet in packets:
            if packet.stream.index != self.picture.index:
                if is_cover(packet.stream) or _overlaps(packet, span, run_up):
                    yield packet
                continue
            self._check_time(packet, last, span)
            time = decoded(packet)
            last = last if packet.dts is None else time
            if time >= span.end + _INTERLEAVE:
                break
            if time < span.end:
                beyond.append(packet)
            if shown(packet) < span.end:
                if exact and len(beyond) > 1:
                    raise PictureError(
                        f"{self.path.name} cannot be cut there without re-encoding: frames before "
                        "the end depend on frames after it."
                    )
                yield from beyond
                beyond = []

    def _check_time(self, packet: av.Packet, last: Fraction | None, span: Span) -> None:
        """Check that a packet of the picture has its times, and is decoded after the last one."""
        reordered = packet.pts is None and self.picture.codec_context.has_b_frames
        if packet_time(packet) is None or reordered:
            raise untimed(self.path)
        if packet.dts is not None and last is not None and decoded(packet) < last:
            raise jumping(self.path, last - span.start)

    def _demux(self, streams: list[av.stream.Stream]) -> Iterator[av.Packet]:
        found = packets_of(self.container, streams, self.path.name)
        return (packet for packet in found if packet.size)

    def _from_keyframe(self, streams: list[av.stream.Stream], time: Fraction) -> Iterator:
        """Packets from the picture's last keyframe at or before `time` on."""
        for back in _STEPS_BACK:
            if not seek(self.container, self.picture, time - back):
                break
            packets = self._demux(streams)
            head = []
            for packet in packets:
                head.append(packet)
                if packet.stream.index == self.picture.index:
                    break
            if head and head[-1].is_keyframe and shown(head[-1]) <= time:
                return chain(head, packets)
        raise PictureError(
            f"{self.path.name} cannot be trimmed: it has no keyframe before {float(time):.3f} s. "
            "Convert the video to MP4 or MKV first, or start at 0."
        )


def untimed(video: Path) -> MediaError:
    """The error of a video whose frames have no timestamps."""
    return PictureError(
        f"{video.name} has no timestamps for its frames, so its video stream cannot be copied. "
        "Convert the video to MP4 or MKV first."
    )


def shown(packet: av.Packet) -> Fraction:
    """When a packet is shown; 0 if it has no timestamp."""
    return packet_time(packet) or Fraction(0)


def decoded(packet: av.Packet) -> Fraction:
    """When a packet is decoded, or else shown."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    return (ticks or 0) * packet.time_base


def _with_decoding_times(packets: Iterator[av.Packet], picture: int) -> Iterator[av.Packet]:
    """Give the first video packets decoding times, which Matroska does not store."""
    held: list[av.Packet] = []  # until one has a decoding time, which gives those of the others
    without_times: list[av.Packet] = []
    for packet in packets:
        held.append(packet)
        if packet.stream.index == picture:
            if packet.dts is not None:
                _count_back(without_times, packet.dts)
                break
            without_times.append(packet)
    else:
        _count_back(
            without_times, min((packet.pts or 0 for packet in without_times), default=0) + 1
        )
    yield from chain(held, packets)


def _count_back(packets: list[av.Packet], dts: int) -> None:
    """Set decoding times that rise up to `dts` and lie before each packet's presentation."""
    for packet in reversed(packets):
        dts = packet.dts = min(dts - max(packet.duration or 0, 1), packet.pts or 0)


def _overlaps(packet: av.Packet, span: Span, run_up: bool) -> bool:
    """Whether a packet beside the picture belongs to the piece; a subtitle is cut to it.

    Args:
        packet: of sound, subtitles or data; changed where it is a subtitle that began before.
        span: the piece.
        run_up: as in `Source.packets`.
    """
    time = packet_time(packet)
    if time is None or time >= span.end:
        return False
    if time >= span.start or span.from_beginning:
        return True
    end = time + (packet.duration or 0) * packet.time_base
    if packet.stream.type == "audio":
        return end > span.start - (_AUDIO_RUN_UP if run_up else 0)
    if packet.stream.type == "subtitle" and end > span.start:
        packet.pts = packet.dts = ceil(span.start / packet.time_base)
        packet.duration = floor(end / packet.time_base) - packet.pts
        return True
    return False
