"""Pick frames of images in memory as `read_grids` picks them from a file.

Images are `f h w c` float in 0..1, the form in which image models hand them on; only the frames
that are needed are converted.
"""

from fractions import Fraction
from math import isfinite

import torch
from torch import Tensor

from ..errors import SettingsError
from .files import exact
from .pixels import resize_frames
from .video import FrameGrid


def pick_frames(
    images: Tensor,
    fps: float | Fraction,
    grid: FrameGrid,
    *,
    start: float = 0.0,
    end: float | None = None,
) -> Tensor:
    """Pick the frames of a grid from `start` on, as squares.

    Args:
        images: `f h w c`, 0..1; only the first three channels are used.
        fps: frame rate of the images.
        grid: how many frames, how many of them a second.
        start: seconds after the first frame.
        end: seconds; frames that start at or after it are not used. Times after the last frame
            give the last frame.

    Returns:
        `f 3 size size`, uint8 RGB on the CPU; the same as `read_grids` gives for the file.

    Raises:
        SettingsError: there are no images, or `fps` is not above 0.
    """
    check_images(images)
    own = _rate(fps)
    last = len(images) - 1
    if end is not None:
        last = min(last, max(0, -int(-exact(end, "end") * own // 1) - 1))
    first, wanted = exact(start, "start"), Fraction(grid.fps).limit_denominator(1000)
    squares = torch.empty(grid.count, 3, grid.size, grid.size, dtype=torch.uint8)
    shown, small = -1, squares
    for k, square in enumerate(squares):
        index = min(_nearest((first + k / wanted) * own), last)
        if index != shown:
            small, shown = resize_frames(to_pixels(images[index])[None], grid.size)[0], index
        square.copy_(small)
    return squares


def to_pixels(image: Tensor) -> Tensor:
    """An image `h w c` in 0..1 -> `3 h w` uint8 in 0..255."""
    scaled = (image[..., :3].float() * 255).round()
    if scaled.isnan().any():
        raise SettingsError("An image contains NaN values. Check the node that created it.")
    return scaled.clamp(0, 255).to("cpu", torch.uint8).movedim(-1, 0)


def check_images(images: Tensor) -> None:
    """Raise SettingsError unless `images` is a batch of pictures."""
    if images.ndim != 4 or not all(images.shape) or images.shape[-1] < 3:
        raise SettingsError(
            f"The images are {tuple(images.shape)}: expected (frames, height, width, 3) and at "
            "least one frame."
        )


def _nearest(position: Fraction) -> int:
    """The nearest frame; of two equally near ones the earlier."""
    return max(0, -int(-(position - Fraction(1, 2)) // 1))


def _rate(fps: float | Fraction) -> Fraction:
    if not isfinite(fps) or fps <= 0:
        raise SettingsError(f"fps is {fps}: it must be above 0.")
    return fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(100_000)
