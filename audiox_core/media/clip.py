"""A video clip, wherever its frames are: in a file, in several, or in memory as a model made them.

`c` is channels, `f` frames, `n` audio samples, `h w` pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from numbers import Real
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ..errors import AudioEndedError, SettingsError
from .audio import read_audio
from .files import exact, time_base
from .image_batch import check_images, pick_frames
from .sound import as_tensor
from .timeline import PictureReader
from .video import FrameGrid, probe_video, read_grids

# start and end in seconds, frame grids -> frames `f 3 size size` uint8 of each grid
ReadFrames = Callable[[float, float | None, Sequence[FrameGrid]], list[Tensor]]
ReadSound = Callable[[int], Tensor | None]  # sample rate in Hz -> sound `2 n`, None without sound


@dataclass(frozen=True)
class FilePiece:
    """A video file, or the part of it between two times."""

    path: Path
    start: Fraction | float = 0.0  # seconds after the first frame's appearance
    seconds: Fraction | float | None = None  # None goes to the end

    @property
    def is_whole(self) -> bool:
        """Whether this is the whole file."""
        return not self.start and self.seconds is None


@dataclass(frozen=True)
class Clip:
    """Video frames with or without audio; both are read on demand."""

    seconds: float
    frames: ReadFrames
    sound: ReadSound
    name: str = "The video"  # for messages
    piece: FilePiece | None = None  # where it lies in a file

    def __repr__(self) -> str:
        return f"Clip({self.name}, {self.seconds:.2f} s)"


def clip_from_file(
    path: str | Path,
    *,
    start: Fraction | float = 0.0,
    seconds: Fraction | float | None = None,
    timing: Literal["true", "reference"] = "true",
) -> Clip:
    """A video file, or a part of it; frames are read by time and never all at once.

    Args:
        path: of the video.
        start: seconds into the file at which the clip begins.
        seconds: length of the clip; None goes to the end of the file.
        timing: how frames are picked, see `media.video`.

    Raises:
        MediaError: the file cannot be read as a video.
    """
    path = Path(path)
    info = probe_video(path)
    stop = info.seconds if seconds is None else min(info.seconds, float(start + seconds))
    begin = float(start)

    def frames(begin: float, end: float | None, grids: Sequence[FrameGrid]) -> list[Tensor]:
        last = stop if end is None else min(stop, float(start + end))
        return read_grids(path, grids, start=float(start + begin), timing=timing, end=last)

    def sound(sample_rate: int) -> Tensor | None:
        if not info.has_audio:
            return None
        try:
            return read_audio(path, sample_rate=sample_rate, start=begin, seconds=stop - begin)
        except AudioEndedError:
            return None

    return Clip(stop - begin, frames, sound, path.name, FilePiece(path, start, seconds))


def clip_from_timestamps(path: Path, start: float, seconds: float | None) -> Clip:
    """The frames of a file whose timestamps lie in a range, as ComfyUI trims a video.

    Args:
        path: of the video.
        start: the container's own seconds, which need not be 0 at the first frame.
        seconds: length of the range; None goes to the end of the file.

    Raises:
        MediaError: the file cannot be read as a video.
        SettingsError: no frame lies in the range.
    """
    begin = exact(start, "start")
    with PictureReader(path) as reader:
        tick = time_base(reader.stream)

        def from_first_frame(time: Fraction) -> Fraction:
            return floor(time / tick) * tick - reader.origin

        earliest = max(from_first_frame(begin), Fraction(0))
        times = (frame.time for frame in reader.frames_from(earliest))
        first = next((time for time in times if time >= earliest), None)
        end = None if seconds is None else from_first_frame(begin + exact(seconds, "seconds"))
    if first is None or (end is not None and end <= first):
        raise SettingsError(
            f"The trim of {path.name} from {start:g} s contains no frame. Trim it earlier or "
            "longer."
        )
    return clip_from_file(path, start=first, seconds=None if end is None else end - first)


def clip_from_clips(parts: Sequence[Clip]) -> Clip:
    """Clips that play one after another; each is read by its own times.

    Raises:
        SettingsError: there is none.
    """
    if not parts:
        raise SettingsError("The list of videos is empty: connect at least one video.")
    bounds = [0.0]
    for part in parts:
        bounds.append(bounds[-1] + part.seconds)

    def frames(begin: float, end: float | None, grids: Sequence[FrameGrid]) -> list[Tensor]:
        return [_pick(parts, bounds, begin, end, grid) for grid in grids]

    def sound(sample_rate: int) -> Tensor | None:
        places = [round(time * sample_rate) for time in bounds]
        sounds = [part.sound(sample_rate) for part in parts]
        if all(sound is None for sound in sounds):
            return None
        silence = torch.zeros(2, 0, dtype=torch.float32)
        fitted = [
            pad(part[:, : after - before], (0, max(0, after - before - part.shape[-1])))
            for part, (before, after) in zip(
                (silence if sound is None else sound for sound in sounds),
                pairwise(places),
                strict=True,
            )
        ]
        return torch.cat(fitted, dim=1)

    return Clip(bounds[-1], frames, sound)


def _pick(
    parts: Sequence[Clip],
    bounds: Sequence[float],
    begin: float,
    end: float | None,
    grid: FrameGrid,
) -> Tensor:
    """The frames of one grid; times after the end give the last frame of the last clip."""
    stop = bounds[-1] if end is None else min(end, bounds[-1])
    picked, taken = [], 0
    for index, (part, (first, last)) in enumerate(zip(parts, pairwise(bounds), strict=True)):
        if last <= begin or taken == grid.count:
            continue
        is_last = last >= stop or index == len(parts) - 1
        due = grid.count if is_last else min(grid.count, ceil((last - begin) * grid.fps))
        if due > taken:
            local = max(0.0, begin + taken / grid.fps - first)
            smaller = replace(grid, count=due - taken)
            picked += part.frames(local, min(stop, last) - first, [smaller])
            taken = due
    return torch.cat(picked)


def clip_from_images(
    images: Tensor | np.ndarray, fps: float, sound: ReadSound = lambda _rate: None
) -> Clip:
    """Images in memory and their frame rate.

    Args:
        images: `f h w c`, a tensor or an array, in 0..1 or uint8.
        fps: frames per second.
        sound: gives the sound that belongs to the images at a sample rate.

    Raises:
        SettingsError: there are no images, or they have no frame rate.
    """
    images = as_tensor(images, "The video")
    check_images(images)
    if not isinstance(fps, Real) or not fps > 0:
        raise SettingsError(
            "Images have no frame rate of their own: set fps to the frame rate of the video "
            "(16 for Wan, 24 or 25 for most others)."
        )

    def frames(begin: float, end: float | None, grids: Sequence[FrameGrid]) -> list[Tensor]:
        return [pick_frames(images, fps, grid, start=begin, end=end) for grid in grids]

    return Clip(len(images) / float(fps), frames, sound)
