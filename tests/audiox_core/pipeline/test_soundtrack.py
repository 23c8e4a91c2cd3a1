"""Where a generated sound is written to."""

import logging

import pytest
import torch

from audiox_core import Request, Soundtrack
from audiox_core.errors import SettingsError
from audiox_core.media.audio import read_audio
from audiox_core.media.loudness import measure_loudness
from audiox_core.media.mix import mix
from audiox_core.media.video import probe_video
from audiox_core.pipeline.soundtrack import mixed


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


@pytest.fixture
def talking(sound, clips, tmp_path):
    """A video with a sound of its own."""
    longer = torch.cat([sound.flip(1), 0.5 * sound, sound], dim=1)
    Soundtrack(longer, 44_100, clips / "bikes.mp4", trimmed=True).save(tmp_path / "talk.mov")
    return tmp_path / "talk.mov"


def test_without_settings_of_a_mix_the_sound_stays(sound):
    assert torch.equal(mixed(sound, 44_100, Request(prompt="rain")), sound)


def test_gain_and_loudness_apply_to_a_sound_alone(sound):
    torch.testing.assert_close(
        mixed(sound, 44_100, Request(prompt="rain", gain=-6.0)), sound * 10 ** (-6 / 20)
    )
    loud = mixed(sound, 44_100, Request(prompt="rain", gain=-6.0, lufs=-14.0))
    measured = measure_loudness(loud, 44_100)
    assert measured.lufs == pytest.approx(-14, abs=0.05)
    assert measured.peak_db <= -1 + 1e-3


def test_the_sound_of_the_video_is_kept_from_its_start(sound, talking):
    request = Request(video=talking, start=2.0, keep_original=-3.0, duck=9.0, gain=-12.0)
    own = read_audio(talking, start=2.0, seconds=2.0)
    expected = mix(sound, own, 44_100, gain_db=-12.0, original_db=-3.0, duck_db=9.0)
    assert torch.equal(mixed(sound, 44_100, request), expected)
    assert not torch.equal(expected, mix(sound, own, 44_100, gain_db=-12.0, original_db=-3.0))


def test_a_video_without_sound_and_a_loudness_out_of_reach_are_said(clips, caplog):
    still = torch.zeros(2, 44_100)
    with caplog.at_level(logging.WARNING):
        mixed(still, 44_100, Request(video=clips / "bikes.mp4", keep_original=0.0, lufs=-16.0))
    assert "bikes.mp4 has no audio here" in caplog.text
    assert "too short or soft" in caplog.text
