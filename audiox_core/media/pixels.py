"""Turn decoded pictures into upright RGB tensors and resize them to a square.

Axes: `f` frames, `h w` pixels; the 3 is red, green, blue in 0..255.
"""

import threading
from math import cos, radians, sin
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import VideoReformatter
from torch import Tensor
from torch.nn.functional import interpolate

from ..errors import MediaError, SettingsError
from .files import open_media
from .truncation import refuse_cut_picture

Matrix = tuple[int, int, int, int]  # a b c d of the display matrix: x' = a x + c y, y' = b x + d y

UPRIGHT: Matrix = (1, 0, 0, 1)

_LARGEST = 4096  # pixels of a side; the models see 224
_MOST_PIXELS = 1 << 28  # of a picture that is decoded: 16384 x 16384, half as many with alpha


class _Converters(threading.local):
    """A converter for each thread: a new one for each frame takes most of the time."""

    def __init__(self) -> None:
        self.own = VideoReformatter()


_converters = _Converters()


def resize_frames(frames: Tensor, size: int) -> Tensor:
    """Stretch frames to a square without keeping their aspect ratio, as in training.

    Bilinear with antialiasing, in float32 and rounded. On CPUs with fused multiply-add this gives
    the numbers of the original implementation (elsewhere about one value in 300,000 differs by 1);
    the integer kernel of some CPUs differs in every fifth value.

    Args:
        frames: `f 3 h w`, uint8.
        size: pixels of a side.

    Returns:
        `f 3 size size`, uint8; `frames` itself where it has this size.

    Raises:
        SettingsError: `size` is below 1, or `frames` is not `f 3 h w` uint8.
    """
    if size < 1:
        raise SettingsError(f"size is {size}: it must be at least 1 pixel.")
    if frames.ndim != 4 or frames.dtype != torch.uint8:
        raise SettingsError(
            f"Frames are {tuple(frames.shape)} {frames.dtype}: expected `f 3 h w` in uint8."
        )
    if frames.shape[-2:] == (size, size):
        return frames
    resized = interpolate(frames.float(), (size, size), mode="bilinear", antialias=True)
    return resized.round_().clamp_(0, 255).to(torch.uint8)


def display_matrix(frame: av.VideoFrame) -> Matrix:
    """The rotation and mirroring of a stored picture; `UPRIGHT` if the file has none."""
    try:
        # not `frame.side_data`: the frame keeps it, it keeps the frame, and such a cycle holds the
        # picture until Python's collector runs, which takes dozens of clips
        data = SideDataContainer(frame).get(SideData.DISPLAYMATRIX)
    except ValueError:  # beside EXIF data: PyAV 18 does not know FFmpeg's number for them
        angle = radians(frame.rotation)  # counterclockwise; mirroring is lost
        a, b = round(cos(angle)), round(-sin(angle))
        return (a, b, -b, a)
    if data is None:
        return UPRIGHT
    numbers = np.frombuffer(bytes(data), dtype=np.int32)  # a b u c d v x y w, 16.16 fixed point
    a, b, c, d = (int(numbers[i]) for i in (0, 1, 3, 4))
    return (a, b, c, d) if a or b or c or d else UPRIGHT


def is_sideways(matrix: Matrix) -> bool:
    """Whether width and height change places."""
    a, b, c, d = matrix
    return abs(b) + abs(c) > abs(a) + abs(d)


def upright(picture: Tensor, matrix: Matrix) -> Tensor:
    """Rotate a stored picture for display, to the nearest quarter turn.

    Args:
        picture: `3 h w`.
        matrix: of `display_matrix`.

    Returns:
        `3 h w`, or `3 w h` after a quarter turn.
    """
    a, b, c, d = matrix
    if is_sideways(matrix):
        picture, right, down = picture.transpose(-1, -2), c, b
    else:
        right, down = a, d
    mirrored = [axis for axis, sign in ((-1, right), (-2, down)) if sign < 0]
    return picture.flip(mirrored) if mirrored else picture


def rgb(frame: av.VideoFrame) -> Tensor:
    """An upright picture of a decoded frame of any pixel format, `3 h w` uint8.

    Transparent pixels are blended with black: their stored colours are arbitrary. FFmpeg scales
    pictures of more than 4096 pixels a side down, which takes little memory.
    """
    scale = min(1.0, _LARGEST / max(frame.width, frame.height))
    size: dict[str, Any] = {}
    if scale < 1:
        size = {side: max(1, round(getattr(frame, side) * scale)) for side in ("width", "height")}
    alpha = _has_alpha(frame)
    converted = _converters.own.reformat(frame, format="rgba" if alpha else "rgb24", **size)
    pixels = converted.to_ndarray()
    if alpha:
        colour = pixels[..., :3].astype(np.uint16)  # holds 255 * 255 + 127
        colour *= pixels[..., 3:]
        colour += 127
        colour //= 255
        picture = torch.from_numpy(colour.astype(np.uint8))
    else:
        picture = torch.from_numpy(pixels)
    return upright(picture.permute(2, 0, 1), display_matrix(frame)).contiguous()


def read_image(path: Path) -> Tensor:
    """Read a still image: PNG, JPEG, WebP and others that FFmpeg decodes.

    The image is rotated as its EXIF data say; transparent parts are black. An animation or a video
    gives its first frame.

    Returns:
        `3 h w`, uint8 RGB.

    Raises:
        MediaError: the file cannot be read, is truncated, or contains no image.
    """
    path = Path(path)
    with open_media(path) as container:
        # a stream without a context has no decoder
        if not any(stream.codec_context for stream in container.streams.video[:1]):
            raise MediaError(f"{path.name} contains no image. Choose a PNG, JPEG or WebP file.")
        stream = container.streams.video[0]
        alpha = bool(stream.format) and any(c.is_alpha for c in stream.format.components)
        if stream.width * stream.height > _MOST_PIXELS // (2 if alpha else 1):
            raise MediaError(
                f"{path.name} has {stream.width} x {stream.height} pixels, which takes gigabytes "
                "of memory. Scale it down first."
            )
        frame = next(container.decode(stream), None)
        if frame is None:
            raise MediaError(f"{path.name} is truncated: no image can be decoded from it.")
        refuse_cut_picture(path)
    return rgb(frame)  # now that the decoder has freed its memory


def _has_alpha(frame: av.VideoFrame) -> bool:
    """Palettes count: some of their colours may be transparent."""
    return frame.format.name == "pal8" or any(c.is_alpha for c in frame.format.components)
