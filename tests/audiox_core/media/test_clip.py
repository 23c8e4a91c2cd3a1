"""A clip in a file and a clip in memory answer alike."""

import pytest
import torch

from audiox_core.errors import SettingsError
from audiox_core.media.clip import clip_from_file, clip_from_images
from audiox_core.media.video import FrameGrid

GRID = FrameGrid(count=4, fps=2.0, size=8)


def test_a_clip_of_a_file_knows_its_length_and_its_sound(clips):
    clip = clip_from_file(clips / "bigbuckbunny.mp4")
    assert (clip.name, clip.path) == ("bigbuckbunny.mp4", clips / "bigbuckbunny.mp4")
    assert clip.seconds == pytest.approx(5.28, abs=0.01)
    assert clip.sound(8_000).shape[0] == 2
    assert clip_from_file(clips / "bikes.mp4").sound(8_000) is None


def test_a_part_of_a_file_counts_its_time_from_its_start(clips):
    whole, part = clip_from_file(clips / "bikes.mp4"), clip_from_file(
        clips / "bikes.mp4", start=2.0, seconds=3.0
    )  # fmt: skip
    assert part.seconds == 3
    assert part.path is None
    (expected,), (found,) = whole.frames(3.0, 5.0, [GRID]), part.frames(1.0, 3.0, [GRID])
    assert torch.equal(found, expected)


def test_a_part_ends_with_its_file(clips):
    part = clip_from_file(clips / "bikes.mp4", start=9.0, seconds=30.0)
    assert part.seconds == pytest.approx(1.0)


def test_images_are_picked_by_their_own_frame_rate():
    images = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 4, 4, 3) / 255
    clip = clip_from_images(images, 4.0)
    (frames,) = clip.frames(0.0, None, [GRID])  # two a second: every other image
    assert clip.seconds == 2
    assert frames[:, 0, 0, 0].tolist() == [0, 2, 4, 6]
    (frames,) = clip.frames(1.0, 1.5, [GRID])  # the last image before the end is repeated
    assert frames[:, 0, 0, 0].tolist() == [4, 5, 5, 5]


@pytest.mark.parametrize("fps", [0, 0.0, -4.0, None])
def test_images_without_a_frame_rate_are_refused(fps):
    with pytest.raises(SettingsError, match="set fps"):
        clip_from_images(torch.zeros(2, 4, 4, 3), fps)
