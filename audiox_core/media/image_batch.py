"""Pick frames of images in memory as `read_grids` picks them from a file.

Images are `f h w c` float in 0..1, the form in which image models hand them on; only the frames
that are needed are converted.
"""

from fractions import Fraction
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from ..errors import SettingsError
from .files import exact
from .pixels import resize_frames
from .sound import as_tensor
from .video import FrameGrid

_CHANNELS = (1, 3, 4)
_BRIGHTEST = 1.5  # of floats: some models overshoot 1


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
        images: `f h w c`, in 0..1 or uint8; only the first three channels are used.
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
    """An image `h w c` in 0..1, or in 0..255 as uint8 -> `3 h w` uint8 in 0..255."""
    if image.dtype == torch.uint8:
        return image[..., :3].to("cpu").movedim(-1, 0)
    scaled = (image[..., :3].float() * 255).round()
    if scaled.isnan().any():
        raise SettingsError("An image contains NaN values. Check the node that created it.")
    return scaled.clamp(0, 255).to("cpu", torch.uint8).movedim(-1, 0)


def picture_from(image: Any) -> Tensor:
    """A picture in memory, such as an array, a tensor or an image of Pillow.

    Args:
        image: `h w c`, `c h w` or `h w`; floats in 0..1, or uint8.

    Returns:
        `3 h w` uint8 in 0..255.

    Raises:
        SettingsError: it is no picture.
    """
    if hasattr(image, "convert"):  # Pillow's: palettes and transparency are no pixels
        image = image.convert("RGB")
    pixels = as_tensor(image, "The image")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim == 3 and pixels.shape[-1] not in _CHANNELS and pixels.shape[0] in _CHANNELS:
        pixels = pixels.movedim(0, -1)
    floats = pixels.is_floating_point()
    if pixels.ndim != 3 or pixels.shape[-1] not in _CHANNELS or not all(pixels.shape):
        raise SettingsError(
            f"The image is {tuple(pixels.shape)}: expected (height, width, 3), or (3, height, "
            "width)."
        )
    if not floats and pixels.dtype != torch.uint8:
        raise SettingsError(f"The image has the type {pixels.dtype}: use floats in 0..1, or uint8.")
    if floats and pixels.max() > _BRIGHTEST:
        raise SettingsError(
            f"The image has values up to {pixels.max().item():g}: use floats in 0..1, or uint8."
        )
    return to_pixels(pixels.expand(-1, -1, 3) if pixels.shape[-1] == 1 else pixels)


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
