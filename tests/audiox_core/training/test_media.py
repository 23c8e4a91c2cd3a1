"""How the files of a manifest are found in a folder."""

import pytest

from audiox_core.errors import MediaError, SettingsError
from audiox_core.training.media import MediaFolder


@pytest.fixture
def touch(media):
    def make(*names):
        for name in names:
            (media / name).parent.mkdir(parents=True, exist_ok=True)
            (media / name).touch()

    return make


def test_a_video_is_preferred_to_a_sound_with_the_same_id(media, touch):
    touch("x.wav", "x.mp4", "x.json")
    assert MediaFolder(media).find("x") == (media / "x.mp4", None)


def test_an_id_is_not_read_as_a_glob_pattern(media, touch):
    touch("-[a]*_?.mp4")
    assert MediaFolder(media).find("-[a]*_?", 30.0) == (media / "-[a]*_?.mp4", 30.0)


def test_a_missing_file_names_what_was_tried(media):
    with pytest.raises(MediaError, match=r"x_3\.\*, x_000003\.\*, x\.\*"):
        MediaFolder(media).find("x", 3.0)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="There is no folder"):
        MediaFolder(tmp_path / "none")
