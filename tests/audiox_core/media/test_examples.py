"""The example clips: whole, small, and named."""

import av
import pytest

from audiox_core.errors import SettingsError
from audiox_core.media import examples
from audiox_core.media.examples import CLIPS, VIDEOS, example_file


@pytest.mark.parametrize("name", CLIPS)
def test_an_example_has_picture_and_stereo_sound_of_its_length(name):
    clip = CLIPS[name]
    with av.open(str(example_file(name))) as container:
        assert [s.codec_context.name for s in container.streams] == ["h264", "aac"]
        sound = container.streams.audio[0]
        assert (sound.rate, sound.channels) == (44_100, 2)
        assert container.duration / av.time_base == pytest.approx(clip.seconds, abs=0.05)
    assert all(0 <= time < clip.seconds for time in (clip.picture, *clip.events))


def test_the_prompts_of_the_yard_follow_one_another_before_the_last_one():
    borders = [(start, end) for start, end, _ in CLIPS["yard"].prompts]
    assert borders == [(0.0, 3.8), (3.8, 6.5)]
    assert CLIPS["yard"].prompt


def test_only_the_tune_has_no_prompt():
    assert {*CLIPS} - {*VIDEOS} == {"music"}


def test_the_examples_are_small_enough_to_come_with_the_repository():
    assert sum(example_file(name).stat().st_size for name in CLIPS) < 1_500_000


def test_an_unknown_example_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match="choose one of yard, ball, car, rain, music"):
        example_file("dog")


def test_a_missing_example_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(examples, "FOLDER", tmp_path)
    with pytest.raises(SettingsError, match=r"ball\.mp4 is missing"):
        example_file("ball")
