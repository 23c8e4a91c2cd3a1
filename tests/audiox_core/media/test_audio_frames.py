"""Sound cut into FFmpeg's frames."""

from fractions import Fraction

import numpy as np
import pytest

from audiox_core.media.audio_frames import audio_frames

SOUND = np.stack([np.arange(10_000), -np.arange(10_000)]).astype(np.float32)


@pytest.mark.parametrize("kind", ["fltp", "flt"])
def test_frames_joined_are_the_sound(kind):
    frames = [*audio_frames(SOUND, 8_000, kind)]
    assert {frame.layout.name for frame in frames} == {"stereo"}
    parts = [frame.to_ndarray() for frame in frames]
    if kind == "flt":  # left and right take turns
        parts = [part.reshape(-1, 2).T for part in parts]
    assert np.array_equal(np.concatenate(parts, axis=1), SOUND)


def test_each_frame_says_when_it_sounds():
    frames = [*audio_frames(SOUND[:1], 8_000, "fltp")]
    assert len(frames) > 1
    assert {(frame.layout.name, frame.time_base) for frame in frames} == {
        ("mono", Fraction(1, 8_000))
    }
    assert [frame.pts for frame in frames] == [int(frame.to_ndarray()[0, 0]) for frame in frames]


def test_a_later_block_goes_on_in_time():
    frames = [*audio_frames(SOUND[:, 5_000:], 8_000, "fltp", first=5_000)]
    assert [frame.pts for frame in frames] == [int(frame.to_ndarray()[0, 0]) for frame in frames]
