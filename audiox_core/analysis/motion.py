"""When a picture changes: cuts and peaks of its motion. `f` is frames, `h w` pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, max_pool1d, pad

from ..media.clip import Clip
from ..media.video import FrameGrid

FPS = 25.0
PIXELS = 64  # a side of the frames that are compared
CUT = 0.08  # mean change of a pixel in one frame, of 1, from which it may be a cut
CUT_RATIO = 3.0  # of a cut to the largest change around it
AROUND = 0.25  # s on both sides of a cut
SMOOTHING = 3  # frames
APART = 0.3  # s between two peaks of motion, at least
SHARE = 0.35  # of the largest motion in the clip: a smaller one is not a peak
RATIO = 1.5  # of a peak to the usual motion
LEAST = 0.004  # mean change of a pixel: a smaller one is never a peak


@dataclass(frozen=True)
class Changes:
    """Seconds at which a picture changes."""

    cuts: tuple[float, ...] = ()
    peaks: tuple[float, ...] = ()  # of motion

    @property
    def all(self) -> list[float]:
        """Both, in order."""
        return sorted(self.cuts + self.peaks)


def read_frames(clip: Clip, start: float, seconds: float, count: int, size: int) -> list[Tensor]:
    """Frames of a clip for `picture_changes`, and a few even ones to show; read in one pass.

    Args:
        clip: the video.
        start, seconds: the part of it.
        count: frames to show.
        size: pixels of a side of these.

    Returns:
        `f 3 PIXELS PIXELS` at `FPS`, and `count 3 size size`, both uint8.
    """
    small = FrameGrid(max(2, round(seconds * FPS)), FPS, PIXELS)
    shown = FrameGrid(count, count / seconds, size)
    return clip.frames(start, start + seconds, [small, shown])


def picture_changes(frames: Tensor, fps: float = FPS) -> Changes:
    """Find the cuts and the peaks of motion.

    Args:
        frames: `f 3 h w` uint8.
        fps: frames per second.
    """
    grey = frames.float().mean(dim=1) / 255
    change = torch.cat([torch.zeros(1), (grey[1:] - grey[:-1]).abs().mean(dim=(1, 2))])
    around = _highest_around(change, round(AROUND * fps))
    is_cut = (change >= CUT) & (change >= CUT_RATIO * around)
    motion = torch.where(is_cut, around.minimum(change), change)
    motion = avg_pool1d(motion[None], SMOOTHING, 1, SMOOTHING // 2)[0]
    highest = _highest_around(motion, round(APART * fps))
    least = max(LEAST, SHARE * motion.max().item(), RATIO * motion.median().item())
    is_peak = (motion >= highest) & (motion >= least)
    return Changes(_times(is_cut, fps), _times(is_peak, fps))


def nearest_onsets(changes: Sequence[float], onsets: Sequence[float]) -> list[float | None]:
    """The time from each change to the nearest onset, in seconds; None without onsets."""
    return [min((o - c for o in onsets), key=abs, default=None) for c in changes]


def _highest_around(values: Tensor, radius: int) -> Tensor:
    """The highest of the neighbours of each value, without itself; `t` -> `t`."""
    left = pad(values, (radius, 0), value=0.0)[None]
    before = max_pool1d(left, radius, 1)[0][: len(values)]
    right = pad(values, (0, radius), value=0.0)[None]
    after = max_pool1d(right, radius, 1)[0][1 : 1 + len(values)]
    return torch.maximum(before, after)


def _times(found: Tensor, fps: float) -> tuple[float, ...]:
    """The times of the first frame of each run."""
    first = found & ~pad(found[:-1], (1, 0), value=False)
    return tuple(frame / fps for frame in first.nonzero()[:, 0].tolist())
