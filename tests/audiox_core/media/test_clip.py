"""A clip in a file and a clip in memory answer alike."""

from fractions import Fraction

import av
import pytest
import torch

from audiox_core.errors import SettingsError
from audiox_core.media.clip import (
    FilePiece,
    clip_from_clips,
    clip_from_file,
    clip_from_images,
    clip_from_timestamps,
)
from audiox_core.media.video import FrameGrid

GRID = FrameGrid(count=4, fps=2.0, size=8)


def test_a_clip_of_a_file_knows_its_length_and_its_sound(clips):
    clip = clip_from_file(clips / "bigbuckbunny.mp4")
    assert clip.name == "bigbuckbunny.mp4"
    assert clip.piece == FilePiece(clips / "bigbuckbunny.mp4")
    assert clip.piece.is_whole
    assert clip.seconds == pytest.approx(5.28, abs=0.01)
    assert clip.sound(8_000).shape[0] == 2
    assert clip_from_file(clips / "bikes.mp4").sound(8_000) is None


def test_a_part_of_a_file_counts_its_time_from_its_start(clips):
    whole, part = clip_from_file(clips / "bikes.mp4"), clip_from_file(
        clips / "bikes.mp4", start=2.0, seconds=3.0
    )  # fmt: skip
    assert part.seconds == 3
    assert not part.piece.is_whole
    (expected,), (found,) = whole.frames(3.0, 5.0, [GRID]), part.frames(1.0, 3.0, [GRID])
    assert torch.equal(found, expected)


def test_a_part_ends_with_its_file(clips):
    part = clip_from_file(clips / "bikes.mp4", start=9.0, seconds=30.0)
    assert part.seconds == pytest.approx(1.0)


class TestTimestamps:
    """Ranges as ComfyUI trims: in the container's own seconds."""

    def test_a_range_begins_with_its_first_frame_and_ends_before_its_end(self, clip, numbers):
        part = clip_from_timestamps(clip(frames=50, fps=25), 0.99, 0.5)
        assert part.piece.start == 1
        assert part.piece.seconds == pytest.approx(0.49, abs=1e-3)
        (found,) = part.frames(0.0, None, [FrameGrid(count=14, fps=25.0, size=96)])
        assert numbers(found) == [*range(25, 38), 37]

    def test_a_file_whose_timestamps_begin_late_counts_from_them(self, clip, numbers):
        late = clip("late.ts", frames=50, fps=25, times=[*range(50, 100)], tick=Fraction(1, 25))
        with av.open(str(late)) as file:  # MPEG-TS adds its own delay
            first = file.streams.video[0].start_time * file.streams.video[0].time_base
        part = clip_from_timestamps(late, float(first) + 1, None)
        assert part.seconds == pytest.approx(1.0, abs=0.01)
        (found,) = part.frames(0.0, None, [FrameGrid(count=1, fps=25.0, size=96)])
        assert numbers(found) == [25]

    def test_a_range_without_a_frame_is_refused(self, clip):
        with pytest.raises(SettingsError, match="contains no frame"):
            clip_from_timestamps(clip(frames=10), 2.0, None)


class TestClips:
    """Clips that play one after another."""

    @pytest.fixture
    def joined(self, clip, noise):
        first = clip("a.mp4", frames=20, fps=10, sound=noise(2))
        second = clip("b.mkv", frames=75, fps=25)
        return clip_from_clips([clip_from_file(first), clip_from_file(second)])

    def test_frames_are_those_of_the_clip_that_plays(self, joined, numbers):
        assert joined.seconds == pytest.approx(5.0)
        (found,) = joined.frames(1.0, None, [FrameGrid(count=8, fps=2.0, size=96)])
        assert numbers(found) == [10, 15, 0, 12, 25, 37, 50, 62]

    def test_times_after_the_end_give_the_last_frame(self, joined, numbers):
        (found,) = joined.frames(4.0, 4.5, [FrameGrid(count=4, fps=5.0, size=96)])
        assert numbers(found) == [50, 55, 60, 62]

    def test_sounds_lie_at_their_clips(self, joined):
        sound = joined.sound(8_000)
        assert sound.shape == (2, 40_000)
        assert sound[:, :16_000].abs().max() > 0.1
        assert not sound[:, 16_100:].any()

    def test_clips_without_sound_have_none(self, clip):
        silent = clip_from_file(clip(frames=10))
        assert clip_from_clips([silent, silent]).sound(8_000) is None

    def test_an_empty_list_is_refused(self):
        with pytest.raises(SettingsError, match="at least one video"):
            clip_from_clips([])


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
