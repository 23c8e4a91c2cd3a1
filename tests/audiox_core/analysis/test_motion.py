"""Cuts and peaks of motion in frames that are drawn here."""

import torch

from audiox_core.analysis.motion import (
    FPS,
    PIXELS,
    Changes,
    nearest_onsets,
    picture_changes,
    read_frames,
)
from audiox_core.media.clip import clip_from_images

FRAMES = 100


def blank(count: int = FRAMES) -> torch.Tensor:
    return torch.full((count, 3, PIXELS, PIXELS), 60, dtype=torch.uint8)


def test_a_still_picture_has_no_changes():
    assert picture_changes(blank()) == Changes()


def test_a_cut_is_at_the_first_frame_of_the_new_picture():
    frames = blank()
    frames[50:] = 160
    assert picture_changes(frames).cuts == (50 / FPS,)


def test_a_cut_is_no_peak_of_motion():
    frames = blank()
    frames[50:] = 160
    assert picture_changes(frames).peaks == ()


def test_frames_that_are_shown_twice_are_no_cuts():
    frames = blank()
    for k in range(FRAMES):  # 12.5 pictures a second, each quite another
        frames[k] = 40 + 120 * (k // 2 % 2)
    assert picture_changes(frames).cuts == ()


def test_the_fastest_moment_of_a_motion_is_its_peak():
    frames, place = blank(), 0.0
    for k in range(FRAMES):
        place += 6.0 if 48 <= k <= 50 else 0.3  # pixels a frame
        frames[k, :, :, int(place) % PIXELS : int(place) % PIXELS + 4] = 250
    peaks = picture_changes(frames).peaks
    assert len(peaks) == 1
    assert abs(peaks[0] - 49 / FPS) <= 2 / FPS


def test_one_frame_has_no_changes():
    assert picture_changes(blank(1)) == Changes()


def test_all_changes_come_in_order():
    assert Changes((2.0, 4.0), (1.0, 3.0)).all == [1.0, 2.0, 3.0, 4.0]


def test_the_nearest_onset_may_come_before_or_after():
    assert nearest_onsets([1.0, 2.0], [0.5, 2.25]) == [-0.5, 0.25]
    assert nearest_onsets([1.0], []) == [None]


def test_frames_of_a_part_of_a_clip_are_read_at_both_rates():
    images = torch.zeros(40, 8, 8, 3)
    images[20:] = 1  # at 2 s of ten frames a second
    small, shown = read_frames(clip_from_images(images, 10), 1.0, 2.0, 4, 16)
    assert small.shape == (50, 3, PIXELS, PIXELS)
    assert shown.shape == (4, 3, 16, 16)
    (cut,) = picture_changes(small).cuts
    assert abs(cut - 1.0) < 1.5 / FPS  # nearest frames
    assert [frame.float().mean().item() for frame in shown] == [0, 0, 255, 255]
