"""A video clip, wherever its frames are: in a file, or in memory as an image model made them.

`c` is channels, `f` frames, `n` audio samples, `h w` pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from ..errors import SettingsError
from .audio import read_audio
from .image_batch import check_images, pick_frames
from .video import FrameGrid, probe_video, read_grids

# start and end in seconds, frame grids -> frames `f 3 size size` uint8 of each grid
ReadFrames = Callable[[float, float | None, Sequence[FrameGrid]], list[Tensor]]
ReadSound = Callable[[int], Tensor | None]  # sample rate in Hz -> sound `2 n`, None without sound


@dataclass(frozen=True)
class Clip:
    """Video frames with or without audio; both are read on demand."""

    seconds: float
    frames: ReadFrames
    sound: ReadSound
    name: str = "The video"  # for messages
    path: Path | None = None  # the file, if the clip is all of it


def clip_from_file(
    path: str | Path,
    *,
    start: float = 0.0,
    seconds: float | None = None,
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
    stop = info.seconds if seconds is None else min(info.seconds, start + seconds)

    def frames(begin: float, end: float | None, grids: Sequence[FrameGrid]) -> list[Tensor]:
        last = stop if end is None else min(stop, start + end)
        return read_grids(path, grids, start=start + begin, timing=timing, end=last)

    def sound(sample_rate: int) -> Tensor | None:
        if not info.has_audio:
            return None
        return read_audio(path, sample_rate=sample_rate, start=start, seconds=stop - start)

    trimmed = start > 0 or seconds is not None
    return Clip(stop - start, frames, sound, path.name, None if trimmed else path)


def clip_from_images(images: Tensor, fps: float, sound: ReadSound = lambda _rate: None) -> Clip:
    """Images in memory and their frame rate.

    Args:
        images: `f h w c` in 0..1.
        fps: frames per second.
        sound: gives the sound that belongs to the images at a sample rate.

    Raises:
        SettingsError: there are no images, or they have no frame rate.
    """
    check_images(images)
    if not fps or fps <= 0:
        raise SettingsError(
            "Images have no frame rate of their own: set fps to the frame rate of the video "
            "(16 for Wan, 24 or 25 for most others)."
        )

    def frames(begin: float, end: float | None, grids: Sequence[FrameGrid]) -> list[Tensor]:
        return [pick_frames(images, fps, grid, start=begin, end=end) for grid in grids]

    return Clip(len(images) / float(fps), frames, sound)
