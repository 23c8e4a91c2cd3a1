"""The frames of a file and their times, in seconds from the first frame.

Times are exact fractions. Containers count in their own ticks, may start at any time, and may lack
timestamps or a way to seek; this module hides these differences.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av.container
import av.stream

from ..errors import MediaError
from .files import decode_frames, open_media, packets_of, seek, time_base
from .truncation import is_animated_webp, refuse_cut_matroska, refuse_cut_picture

log = logging.getLogger(__name__)

SEEK_GAP = Fraction(1)  # seconds; decoding through less than this beats seeking

_BACK_OFF = (0, 2, 10)  # seconds; some containers land behind the wanted keyframe at first
_BEFORE_THE_END = 2  # seconds
_FAR_FUTURE = 10**7  # seconds; later than any end
_STILL_FORMATS = ("_pipe", "image2")  # how FFmpeg's readers of single pictures end their names
_LISTING_FORMATS = ("mov", "mp4")  # whose header lists where each frame lies
_JUMP = Fraction(1, 2)  # seconds; frames that lie farther back ...
_JUMPED_FRAMES = 8  # ... as many in a row are a second recording, not a wrong timestamp


@dataclass(frozen=True)
class TimedFrame:
    """A decoded frame and the second at which it appears; `0` is the file's first frame."""

    time: Fraction
    frame: av.VideoFrame


def picture_stream(container: av.container.InputContainer, name: str) -> av.VideoStream:
    """Find the first video stream; cover images do not count.

    Args:
        container: an open file.
        name: of the file, for messages.

    Raises:
        MediaError: the file contains only audio, or a single still image.
    """
    streams = [stream for stream in container.streams.video if not is_cover(stream)]
    if not streams:
        raise MediaError(f"{name} has no video stream. Choose a video file, or use it as audio.")
    if container.format.name == "webp_pipe" and is_animated_webp(Path(container.name)):
        raise MediaError(
            f"{name} is an animated WebP, which cannot be read. Convert it to MP4 or GIF."
        )
    if is_still(container):
        raise MediaError(f"{name} is a still image, not a video. Use the image option instead.")
    return streams[0]


def is_still(container: av.container.InputContainer) -> bool:
    """Whether an open file is a single picture."""
    kind = container.format.name
    return kind.endswith(_STILL_FORMATS[0]) or kind == _STILL_FORMATS[1]


def is_cover(stream: av.stream.Stream) -> bool:
    """Whether a stream is a cover picture that was attached to the file."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def jumping(path: Path, time: Fraction) -> MediaError:
    """The error of a file whose timestamps jump back after `time` seconds."""
    return MediaError(
        f"The timestamps of {path.name} jump back at {float(time):.2f} s, as in recordings that "
        "were joined. Convert the file to MP4 first."
    )


def packet_time(packet: av.Packet) -> Fraction | None:
    """When a packet is shown, in the container's own seconds; None if it has no timestamp."""
    ticks = packet.pts if packet.pts is not None else packet.dts
    return None if ticks is None else ticks * packet.time_base


class PictureReader:
    """Read the frames of a file from any time on, also if the container cannot seek.

    Use it in a `with` block; the file is closed at its end.

    Raises:
        MediaError: the file cannot be read, or has no video stream or no frame.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._files = ExitStack()

    def __enter__(self) -> "PictureReader":
        self._open()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        self._rest = iter(())  # it refers to this reader, and holds the decoder's memory
        return self._files.__exit__(*error)

    def _open(self) -> None:
        """(Re)open the file at its beginning."""
        self._files.close()
        with ExitStack() as files:  # closes the file if what follows fails
            self._read_first(files.enter_context(open_media(self.path)))
            self._files = files.pop_all()

    def _read_first(self, container: av.container.InputContainer) -> None:
        """Decode the first frame, which sets the clock."""
        self.container = container
        self.stream = picture_stream(self.container, self.path.name)
        self.stream.thread_type = "AUTO"
        self.rate = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        self.origin = Fraction(0)  # the container's own time of the first frame
        self._first_dts: Fraction | None = None
        self._rest = self._decode()
        first = next(self._rest, None)
        if first is None:
            raise MediaError(f"{self.path.name} has an empty video stream. Export it again.")
        self.origin, self.first = first.time, TimedFrame(Fraction(0), first.frame)
        self.has_times = first.frame.pts is not None or first.frame.dts is not None
        # AVI stores decoding times only: a frame has that of the packet which completed it
        decoded = None if first.frame.pts is not None else self._first_dts
        self.packet_origin = self.origin if decoded is None else decoded
        self._at_start = True

    def frames_from(self, time: Fraction) -> Iterator[TimedFrame]:
        """Frames in order; the first one appears at or before `time`, if any does.

        This invalidates the iterator of an earlier call: a file has a single position.
        """
        if time > SEEK_GAP and self.has_times:
            for back in _BACK_OFF:
                frames = self._after_seek(time - back) if time > back else iter(())
                head = next(frames, None)
                if head is not None and head.time <= time:
                    return chain([head], frames)
            log.debug("%s cannot seek to %s s: decoding from its start", self.path.name, time)
        if not self._at_start:
            self._open()
        self._at_start = False
        return chain([self.first], (self._relative(frame) for frame in self._rest))

    def shown_at(self, time: Fraction) -> Fraction:
        """When the frame appeared that is on screen at `time`; 0 before the first."""
        last = Fraction(0)
        for frame in self.frames_from(time):
            if frame.time > time:
                break
            last = frame.time
        return last

    def end(self) -> Fraction:
        """When the last frame ends, from the last packets: headers lack it or are wrong.

        Raises:
            MediaError: the file is truncated.
        """
        if self.container.format.name.startswith("matroska"):
            refuse_cut_matroska(self.path, self.rate)
        elif self.container.format.name == "gif":
            refuse_cut_picture(self.path)
        sparse = self.container.format.name == "mpeg"  # times count on from those of the start
        tail = self._tail() if self.has_times and not sparse else []
        listed = self.container.format.name.startswith(_LISTING_FORMATS) and self.has_times
        if listed and (not tail or any(packet.is_corrupt for packet in tail)):
            raise MediaError(
                f"{self.path.name} is truncated: it lists frames that it does not contain. "
                "Export or download it again."
            )
        ends = [self._end_of(packet) for packet in tail if packet_time(packet) is not None]
        return max(ends) if ends else self.frame_times()[-1] + 1 / self.rate

    def frame_times(self) -> list[Fraction]:
        """When each frame appears, in order: all packets are read, none is decoded."""
        with open_media(self.path) as container:
            stream = picture_stream(container, self.path.name)
            found = [
                packet_time(p)
                for p in packets_of(container, stream, self.path.name)
                if p.size and not p.is_discard
            ]
        times = [time for time in found if time is not None]
        if not self.has_times or len(times) < len(found):
            return [index / self.rate for index in range(max(len(found), 1))]
        # a cut recording may begin with frames that lack what they build on
        shown = {time - self.packet_origin for time in times if time >= self.packet_origin}
        return sorted(shown) or [Fraction(0)]

    def _tail(self) -> list[av.Packet]:
        """The packets from the last keyframe on; empty where no seek leads there."""
        self._at_start = False
        tail = self._packets_from(Fraction(_FAR_FUTURE))
        if tail and not tail[0].is_keyframe and (time := packet_time(tail[0])) is not None:
            # some containers land at the very last packet, which may not be shown last
            tail = self._packets_from(time - _BEFORE_THE_END) or tail
        return tail

    def _packets_from(self, time: Fraction) -> list[av.Packet]:
        """The packets of the picture from where a seek leads; none where it does not."""
        if not seek(self.container, self.stream, time):
            return []
        packets = packets_of(self.container, self.stream, self.path.name)
        return [p for p in packets if p.size and not p.is_discard]

    def _end_of(self, packet: av.Packet) -> Fraction:
        length = packet.duration * packet.time_base if packet.duration else 1 / self.rate
        return (packet_time(packet) or Fraction(0)) - self.packet_origin + length

    def _after_seek(self, time: Fraction) -> Iterator[TimedFrame]:
        """Frames from the keyframe before `time`; none where the container cannot seek."""
        self._at_start = False
        if seek(self.container, self.stream, time + self.origin):
            for frame in self._decode():
                yield self._relative(frame)

    def _relative(self, frame: TimedFrame) -> TimedFrame:
        return TimedFrame(frame.time - self.origin, frame.frame)

    def _decode(self) -> Iterator[TimedFrame]:
        """Frames from where the file stands, on the container's own time.

        The frames of a damaged packet are skipped; the times of the others do not change.
        """
        last: Fraction | None = None
        behind = 0  # frames in a row
        for frame in decode_frames(self._packets(), self.path.name):
            ticks = frame.pts if frame.pts is not None else frame.dts
            if ticks is not None:
                time = ticks * time_base(frame)
            else:  # a bare stream without a container
                time = Fraction(0) if last is None else last + 1 / self.rate
            if last is None or time > last:
                yield TimedFrame(time, frame)
                last, behind = time, 0
            elif last - time > _JUMP:
                behind += 1
                if behind == _JUMPED_FRAMES:
                    raise jumping(self.path, last - self.origin)

    def _packets(self) -> Iterator[av.Packet]:
        for packet in packets_of(self.container, self.stream, self.path.name):
            if self._first_dts is None:
                self._first_dts = packet_time(packet)
            yield packet
