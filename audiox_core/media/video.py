"""Read frames of a video at given times, and the facts of a video file.

The models read 5 frames per second, and those with Synchformer also 25. `timing="true"` takes the
frames that are shown at these times, at any frame rate of the file. `timing="reference"` takes
every `ceil(rate / fps)`-th frame, as the original implementation does; its times drift unless the
rates divide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ..config import VideoConfig
from ..errors import SettingsError
from .files import exact, exact_piece
from .pixels import resize_frames, rgb
from .timeline import SEEK_GAP, PictureReader, TimedFrame


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video file, from its packets rather than its header."""

    seconds: float  # from the first frame's appearance to the end of the last
    has_audio: bool


@dataclass(frozen=True)
class FrameGrid:
    """The frames that a model reads: how many, at which rate, in which size."""

    count: int = 50  # also of a shorter video
    fps: float = 5.0  # frames to take per second, at any rate of the file
    size: int = 224  # pixels of a side; the picture is stretched to it


def frame_grids(config: VideoConfig) -> list[FrameGrid]:
    """The frames that a model reads per window: for CLIP and, if it has one, for Synchformer."""
    grids = [FrameGrid(config.frames, config.fps, config.clip.image)]
    if (sync := config.sync) is not None:
        grids.append(FrameGrid(sync.frames, sync.fps, sync.encoder.image))
    return grids


def probe_video(path: Path) -> VideoInfo:
    """Read the properties of a video from its first frame and its last packets.

    Raises:
        MediaError: the file is missing, empty, truncated or not a video, or has no frame.
    """
    with PictureReader(path) as reader:
        return VideoInfo(float(reader.end()), bool(reader.container.streams.audio))


def read_grids(
    path: Path,
    grids: Sequence[FrameGrid],
    *,
    start: float = 0.0,
    timing: Literal["true", "reference"] = "true",
    end: float | None = None,
) -> list[Tensor]:
    """Read frames at several rates in one pass, upright, resized to squares.

    Args:
        path: a video file.
        grids: number, rate and size of the frames.
        start: seconds after the first frame's appearance.
        timing: "true" takes frame `k` as the one nearest to `start + k / fps` (of two equally
            near ones the earlier); "reference" takes every `ceil(rate / fps)`-th frame.
        end: seconds; frames that start at or after it are not used. Times after the last frame
            give the last frame.

    Returns:
        For each grid `f 3 size size`, uint8 RGB.

    Raises:
        MediaError: the video cannot be read.
        SettingsError: a value is out of range, or (reference) `start` is after the last frame.
    """
    first, _ = exact_piece(start, None if end is None else end - start)
    stop = None if end is None else exact(end, "end")
    rates = [exact(grid.fps, "fps") for grid in grids]
    for grid in grids:
        if grid.count < 1 or grid.fps <= 0:
            raise SettingsError(f"count is {grid.count} and fps {grid.fps}: both must be above 0.")
    if timing not in ("true", "reference"):
        raise SettingsError(f'timing is {timing!r}: expected "true" or "reference".')
    with PictureReader(path) as reader:
        if timing == "true":
            times = [
                [first + k / rate for k in range(grid.count)]
                for grid, rate in zip(grids, rates, strict=True)
            ]
        else:
            times = _reference_times(reader, start, grids, stop)
        return _squares(reader, grids, times, stop)


def read_frame(path: Path, time: float) -> Tensor:
    """Read the frame nearest to a time, upright and in its own size.

    Args:
        path: a video file.
        time: seconds after the first frame's appearance; after the end, the last frame.

    Returns:
        `3 h w`, uint8 RGB.

    Raises:
        MediaError: no readable video.
        SettingsError: a time before 0.
    """
    wanted, _ = exact_piece(time, None)
    with PictureReader(path) as reader:
        return rgb(next(choose_frames(reader, [wanted], None)).frame)


def _squares(
    reader: PictureReader,
    grids: Sequence[FrameGrid],
    times: Sequence[Sequence[Fraction]],
    end: Fraction | None,
) -> list[Tensor]:
    """The frames at the times of each grid; a frame is converted once for each size."""
    places = sorted(
        (time, which, k) for which, wanted in enumerate(times) for k, time in enumerate(wanted)
    )
    squares = [torch.empty(g.count, 3, g.size, g.size, dtype=torch.uint8) for g in grids]
    chosen_frames = choose_frames(reader, [time for time, _, _ in places], end)
    shown, small = None, {}
    for (_, which, k), chosen in zip(places, chosen_frames, strict=True):
        if chosen is not shown:
            shown, picture, small = chosen, rgb(chosen.frame)[None], {}
        size = grids[which].size
        if size not in small:
            small[size] = resize_frames(picture, size)[0]
        squares[which][k].copy_(small[size])
    return squares


def choose_frames(
    reader: PictureReader, wanted: Sequence[Fraction], end: Fraction | None
) -> Iterator[TimedFrame]:
    """Give the frame nearest to each time; at most two frames are in memory.

    Args:
        reader: of the file.
        wanted: seconds, ascending; the first lies before `end`.
        end: frames that start at or after it are not used.
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
    """Frame numbers of the original implementation: every `ceil(fps / target_fps)`-th, unpadded.

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
    reader: PictureReader, start: float, grids: Sequence[FrameGrid], end: Fraction | None
) -> list[list[Fraction]]:
    """When the frames of each grid appear that the original would take."""
    times = [time for time in reader.frame_times() if end is None or time < end]
    chosen = []
    for grid in grids:
        indices = reference_frame_indices(
            float(reader.rate), len(times), start, grid.count, grid.fps
        )
        if not indices:
            raise SettingsError(
                f"start is {start} s, but {reader.path.name} has {len(times)} frames at "
                f"{float(reader.rate):g} fps. Use an earlier start."
            )
        chosen.append([times[index] for index in pad_indices(indices, grid.count)])
    return chosen
