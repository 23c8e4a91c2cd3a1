"""Paths as people write them."""

from pathlib import Path

import pytest

from audiox_core.errors import SettingsError
from audiox_core.paths import local_path, new_folder


def test_the_home_folder_is_understood(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("USERPROFILE", "/home/me")
    assert local_path("~/clip.mp4") == Path("/home/me/clip.mp4")
    assert local_path(Path("~/clip.mp4")) == Path("/home/me/clip.mp4")


@pytest.mark.parametrize("path", ["clip.mp4", "a:b.mp4", "C:/a.mp4", "C:\\a.mp4", "x~y", "a//b"])
def test_other_paths_stay_as_they_are(path):
    assert local_path(path) == Path(path)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("https://example.org/clip.mp4", "is a URL: download the file first"),
        (Path("http://example.org/clip.mp4"), "is a URL: download the file first"),
        ("s3://bucket/clip.mp4", "is a URL: download the file first"),
        ("file:///home/me/clip.mp4", "pass the path alone, without file://"),
        ("~nobody-of-this-name/clip.mp4", "write the whole path"),
        (5, "The path has the type int: pass the name of a file."),
    ],
)
def test_what_is_no_path_is_refused_with_what_to_do(path, says):
    with pytest.raises(SettingsError, match=says):
        local_path(path)


def test_a_folder_that_is_still_empty_after_an_error_is_removed(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(ValueError, match="failed"), new_folder(tmp_path / "old" / "a" / "b"):
        raise ValueError("failed")
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]


def test_a_folder_with_files_and_an_old_folder_stay(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "kept").touch()
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "a" / "b"):
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="failed"), new_folder(tmp_path / "a"):
        raise ValueError("failed")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "kept"]


def test_a_folder_stays_after_a_block_that_succeeds(tmp_path):
    with new_folder(tmp_path / "a" / "b"):
        pass
    assert (tmp_path / "a" / "b").is_dir()
