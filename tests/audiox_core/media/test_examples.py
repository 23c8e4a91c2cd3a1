"""The example clips: whole, small, and named."""

import av
import pytest

from audiox_core.errors import SettingsError
from audiox_core.media import examples
from audiox_core.media.examples import PICTURES, example_file


@pytest.mark.parametrize("name", PICTURES)
def test_an_example_has_picture_and_stereo_sound_of_ten_seconds_or_more(name):
    with av.open(str(example_file(name))) as container:
        assert [s.codec_context.name for s in container.streams] == ["h264", "aac"]
        sound = container.streams.audio[0]
        assert (sound.rate, sound.channels) == (44_100, 2)
        assert container.duration / av.time_base >= 10
        assert container.duration / av.time_base > PICTURES[name]


def test_the_examples_are_small_enough_to_come_with_the_repository():
    assert sum(example_file(name).stat().st_size for name in PICTURES) < 1_200_000


def test_an_unknown_example_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match="choose one of ball, car, rain, music"):
        example_file("dog")


def test_a_missing_example_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(examples, "FOLDER", tmp_path)
    with pytest.raises(SettingsError, match=r"ball\.mp4 is missing"):
        example_file("ball")
