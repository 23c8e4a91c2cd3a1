"""Paths as people write them."""

from pathlib import Path

import pytest

from audiox_core.errors import SettingsError
from audiox_core.paths import local_path


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
        (5, "A int is no path: pass the name of a file."),
    ],
)
def test_what_is_no_path_is_refused_with_what_to_do(path, says):
    with pytest.raises(SettingsError, match=says):
        local_path(path)
