"""What a request starts from."""

import pytest
import torch

from audiox_core.config import LatentConfig
from audiox_core.errors import SettingsError
from audiox_core.media.audio import write_audio
from audiox_core.pipeline.request import Request
from audiox_core.pipeline.sources import open_sources, read_audio_prompt

LATENT = LatentConfig()


@pytest.fixture
def sound(tmp_path):
    write_audio(tmp_path / "known.wav", torch.full((2, 3 * 44_100), 0.25), 44_100)
    return tmp_path / "known.wav"


def test_the_video_or_the_existing_audio_decides_the_length(clips, sound):
    alone = open_sources(Request(prompt="rain"), LATENT)
    assert (alone.clip, alone.init_audio, alone.seconds) == (None, None, 10.0)
    video = open_sources(Request(video=clips / "bikes.mp4", start=1.0), LATENT)
    assert video.seconds == pytest.approx(video.clip.seconds - 1.0)
    assert open_sources(Request(init_audio=sound), LATENT).seconds == pytest.approx(3.0)
    longer = open_sources(Request(init_audio=sound, seconds=4.0), LATENT)
    assert longer.init_audio.waveform.shape == (2, 4 * 44_100)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompts": ((12.0, 14.0, "a dog"),)}, "'a dog' starts at 12 s, but the audio ends at 10"),
        ({"video": "bikes.mp4", "hide": {"video": ((90.0, 91.0),)}}, "time to hide starts at 90 s"),
        ({"init_audio": "known.wav", "inpaint": ((3.5, 4.0),)}, "regenerate starts at 3.5 s"),
    ],
)
def test_times_after_the_end_are_refused(clips, sound, settings, message):
    files = {"video": clips / "bikes.mp4", "init_audio": sound}
    settings = {name: files.get(name, value) for name, value in settings.items()}
    with pytest.raises(SettingsError, match=message):
        open_sources(Request(prompt="rain", **settings), LATENT)


def test_the_first_ten_seconds_of_a_prompt_are_read(sound, tmp_path):
    assert read_audio_prompt(Request(audio=sound), LATENT).shape == (2, 3 * 44_100)
    write_audio(tmp_path / "long.wav", torch.zeros(2, 11 * 44_100), 44_100)
    assert read_audio_prompt(Request(audio=tmp_path / "long.wav"), LATENT).shape == (2, 441_000)
