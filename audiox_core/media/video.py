"""Frames of a video at given times, and what a video file holds.

The model saw frames at 5 (or 25) a second. `timing="true"` takes the frames that are on screen at
those very times, whatever the rate of the file; `"reference"` repeats the habit of the original,
every `ceil(rate / fps)`-th frame, which drifts unless the rates divide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ..errors import SettingsError
from .files import exact, exact_piece
from .pixels import display_matrix, is_sideways, read_image, resize_frames, rgb
from .timeline import SEEK_GAP, PictureReader, TimedFrame

__all__ = [
    "VideoInfo",
    "pad_indices",
    "probe_video",
    "read_frames",
    "read_image",
    "reference_frame_indices",
    "resize_frames",
]


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds, as its packets show it rather than its header."""

    path: Path
    width: int  # pixels, upright
    height: int  # pixels, upright
    seconds: float  # from the first frame's appearance to the end of the last
    fps: float  # frames a second, average
    frames: int | None  # as the header counts them; None where it does not
    has_audio: bool
    codec: str  # of the picture, as FFmpeg names its decoder
    container: str  # FFmpeg's names of the format, separated by commas


def probe_video(path: Path) -> VideoInfo:
    """Look at a video without decoding it: its first frame and its last packets are read.

    Raises:
        MediaError: missing, empty, cut off or not media; sound alone, a still picture, no frame.
    """
    with PictureReader(path) as reader:
        frame, stream = reader.first.frame, reader.stream
        width, height = frame.width, frame.height
        if is_sideways(display_matrix(frame)):
            width, height = height, width
        return VideoInfo(
            path=Path(path),
            width=width,
            height=height,
            seconds=float(reader.end()),
            fps=float(reader.rate),
            frames=stream.frames or None,
            has_audio=bool(reader.container.streams.audio),
            codec=stream.codec_context.name,
            container=reader.container.format.name,
        )


def read_frames(
    path: Path,
    *,
    start: float = 0.0,
    count: int = 50,
    fps: float = 5.0,
    size: int = 224,
    timing: Literal["true", "reference"] = "true",
    end: float | None = None,
) -> Tensor:
    """Read `count` frames from `start` on, `fps` of them a second, upright, as squares.

    Args:
        path: a video file.
        start: seconds after the first frame's appearance.
        count: frames to return, however short the video is.
        fps: frames a second to take; the file's own rate does not matter.
        size: pixels of a side; the picture is stretched to it.
        timing: "true" takes frame `k` as the one nearest to `start + k / fps` (of two equally
            near ones the earlier); "reference" takes every `ceil(rate / fps)`-th frame.
        end: seconds; frames that begin there or later do not count. Times past the last frame
            repeat it.

    Returns:
        `f 3 size size`, uint8 RGB.

    Raises:
        MediaError: no readable video.
        SettingsError: a value out of range, or (reference) a start behind the last frame.
    """
    first, length = exact_piece(start, None if end is None else end - start)
    stop = None if length is None else exact(end, "end")
    rate = exact(fps, "fps")
    if count < 1 or rate <= 0:
        raise SettingsError(f"count is {count} and fps {fps}: both must be above 0.")
    if timing not in ("true", "reference"):
        raise SettingsError(f'timing is {timing!r}: expected "true" or "reference".')
    with PictureReader(path) as reader:
        if timing == "true":
            wanted = [first + k / rate for k in range(count)]
        else:
            wanted = _reference_times(reader, start, count, fps, stop)
        squares = torch.empty(count, 3, size, size, dtype=torch.uint8)
        shown = None
        for square, chosen in zip(squares, choose_frames(reader, wanted, stop), strict=True):
            if chosen is not shown:
                small, shown = resize_frames(rgb(chosen.frame)[None], size)[0], chosen
            square.copy_(small)
    return squares


def choose_frames(
    reader: PictureReader, wanted: Sequence[Fraction], end: Fraction | None
) -> Iterator[TimedFrame]:
    """Give the frame nearest to each time; never more than two are held.

    Args:
        reader: of the file.
        wanted: seconds, rising; the first lies before `end`.
        end: frames that begin there or later do not count.
    """
    frames, worth_seeking = reader.frames_from(wanted[0]), True
    held, following = next(frames), next(frames, None)
    for time in wanted:
        target = time if end is None else min(time, end)
        if worth_seeking and following is not None and target - following.time > SEEK_GAP:
            reached = following.time
            frames = reader.frames_from(target)
            held, following = next(frames), next(frames, None)
            worth_seeking = held.time > reached  # not where keyframes lie farther apart
        while following is not None and _is_nearer(following.time, held.time, time, end):
            held, following = following, next(frames, None)
        yield held


def reference_frame_indices(
    fps: float, total_frames: int, start: float, count: int, target_fps: float
) -> list[int]:
    """Frames as the original takes them, before padding: every `ceil(fps / target_fps)`-th.

    Args:
        fps: of the file, on average.
        total_frames: in the file.
        start: seconds.
        count: frames wanted.
        target_fps: frames a second wanted.
    """
    first, interval = int(start * fps), ceil(fps / target_fps)
    return list(range(first, min(first + count * interval, total_frames), interval))


def pad_indices(indices: Sequence[int], count: int) -> list[int]:
    """Cut to `count`, or repeat the last index up to it; `indices` is not empty."""
    return [*indices[:count], *[indices[-1]] * (count - len(indices))]


def _is_nearer(following: Fraction, held: Fraction, time: Fraction, end: Fraction | None) -> bool:
    return (end is None or following < end) and following - time < time - held


def _reference_times(
    reader: PictureReader, start: float, count: int, fps: float, end: Fraction | None
) -> list[Fraction]:
    """When the frames appear that the original would take."""
    times = [time for time in reader.frame_times() if end is None or time < end]
    indices = reference_frame_indices(float(reader.rate), len(times), start, count, fps)
    if not indices:
        raise SettingsError(
            f"start is {start} s, but {reader.path.name} has {len(times)} frames at "
            f"{float(reader.rate):g} a second. Start earlier."
        )
    return [times[index] for index in pad_indices(indices, count)]
