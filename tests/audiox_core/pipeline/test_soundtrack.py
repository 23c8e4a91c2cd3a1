"""Where a generated sound is written to."""

import pytest
import torch

from audiox_core import Soundtrack
from audiox_core.errors import SettingsError
from audiox_core.media.audio import read_audio
from audiox_core.media.video import probe_video


@pytest.fixture
def sound(seeded):
    return 0.1 * torch.randn(2, 2 * 44_100, generator=seeded)


def test_a_sound_alone_is_written_as_it_is(sound, tmp_path):
    track = Soundtrack(sound, 44_100)
    track.save(tmp_path / "a.wav")
    assert track.seconds == 2
    assert (read_audio(tmp_path / "a.wav") - sound).abs().max() < 2 / 32_000


def test_a_sound_without_a_video_is_not_written_as_a_video(sound, tmp_path):
    with pytest.raises(SettingsError, match="generated without a video"):
        Soundtrack(sound, 44_100).save(tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("trimmed", [False, True])
def test_a_video_is_copied_whole_or_for_as_long_as_the_sound(sound, clips, tmp_path, trimmed):
    video = clips / "bikes.mp4"
    Soundtrack(sound, 44_100, video, trimmed=trimmed).save(tmp_path / "a.mp4")
    expected = 2.0 if trimmed else probe_video(video).seconds
    assert probe_video(tmp_path / "a.mp4").seconds == pytest.approx(expected, abs=0.05)
