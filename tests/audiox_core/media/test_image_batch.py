"""Frames in memory: which ones, and as which pixels."""

import pytest
import torch

from audiox_core.errors import SettingsError
from audiox_core.media.image_batch import check_images, pick_frames, to_pixels
from audiox_core.media.video import FrameGrid


def grey(count: int) -> torch.Tensor:
    """Frame k is grey 10 k of 255, `f h w c`."""
    return (10 * torch.arange(count) / 255).view(-1, 1, 1, 1).expand(-1, 4, 4, 3)


def picked(images: torch.Tensor, fps: float, *, count=4, rate=5.0, **options) -> list[int]:
    frames = pick_frames(images, fps, FrameGrid(count, rate, 2), **options)
    assert frames.shape[1:] == (3, 2, 2)
    return (frames[:, 0, 0, 0] // 10).tolist()


def test_the_nearest_frame_is_taken_of_two_equally_near_ones_the_earlier():
    assert picked(grey(20), 10.0) == [0, 2, 4, 6]
    assert picked(grey(20), 7.5) == [0, 1, 3, 4]  # 0, 1.5, 3 and 4.5 frames
    assert picked(grey(20), 10.0, start=0.5) == [5, 7, 9, 11]


def test_the_last_frame_is_repeated():
    assert picked(grey(3), 5.0) == [0, 1, 2, 2]
    assert picked(grey(20), 5.0, end=0.4) == [0, 1, 1, 1]  # the frame at 0.4 s does not count


def test_pixels_are_rounded_and_clipped():
    image = torch.tensor([-0.1, 0.5, 1.2]).view(1, 3, 1).expand(1, 3, 4)
    pixels = to_pixels(image)
    assert pixels.shape == (3, 1, 3)
    assert pixels[0, 0].tolist() == [0, 128, 255]
    with pytest.raises(SettingsError, match="NaN"):
        to_pixels(image * float("nan"))


@pytest.mark.parametrize("shape", [(4, 4, 3), (0, 4, 4, 3), (2, 4, 4, 1)])
def test_a_tensor_that_is_not_a_batch_of_images_is_refused(shape):
    with pytest.raises(SettingsError, match="expected"):
        check_images(torch.zeros(shape))


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_an_invalid_frame_rate_is_refused(fps):
    with pytest.raises(SettingsError, match="above 0"):
        pick_frames(grey(2), fps, FrameGrid())
