"""Errors in one line, outputs whole or not at all."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from audiox_core.errors import AudioXError, MediaError
from audiox_core.media.audio import read_audio, write_audio
from audiox_core.media.files import check_output, open_output, replacing
from audiox_core.media.video import probe_video, read_frames, read_image

READERS = [read_audio, probe_video, read_frames, read_image]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere.mp4", "no file"),
        ("folder", "is a folder"),
        ("empty.mp4", "is empty"),
        ("text.mp4", "not a media file"),
    ],
)
def test_every_reader_says_what_is_wrong_with_a_file(tmp_path, read, name, says):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no media here\n" * 500)
    with pytest.raises(MediaError, match=says) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_audio, probe_video, read_frames])
def test_a_clip_that_lost_its_end_with_the_index_is_not_readable(clip, noise, read):
    path = clip(sound=noise(1.2))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError, match="cut off"):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_failing_readers_leave_no_file_open(tmp_path, clip, noise, open_files, read):
    broken = clip("broken.mp4", sound=noise(1.2))
    broken.write_bytes(broken.read_bytes()[:2000])
    (tmp_path / "text.mp4").write_text("no media here\n" * 500)
    before = open_files()
    for _ in range(3):
        for path in (broken, tmp_path / "text.mp4"):
            with pytest.raises(AudioXError):
                read(path)
    assert open_files() == before


def test_readers_close_their_files(clip, noise, open_files):
    path = clip(sound=noise(1.2))
    read_frames(path, count=2)
    before = open_files()
    for read in READERS:
        read(path)
    assert open_files() == before


def test_a_colon_or_a_percent_sign_in_a_name_means_nothing(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip("clip.mp4").rename(tmp_path / "http:%03d.mp4")
    assert probe_video(Path("http:%03d.mp4")).frames == 30


def test_an_output_is_checked_without_leaving_a_trace(tmp_path):
    kept = tmp_path / "kept.wav"
    kept.write_bytes(b"older")
    check_output(kept)
    check_output(tmp_path / "new.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.wav"]
    assert kept.read_bytes() == b"older"


@pytest.mark.parametrize(
    ("name", "says"),
    [("nowhere/a.wav", "does not exist"), ("folder", "is a folder"), ("file/a.wav", "not exist")],
)
def test_an_output_that_cannot_be_made_is_told_early(tmp_path, name, says):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(MediaError, match=says):
        check_output(tmp_path / name)


def test_an_output_in_a_folder_that_refuses_files_is_told_early():
    with pytest.raises(MediaError, match="cannot be written"):
        check_output(Path("/proc/self/a.wav"))


def write_header_and_raise(path: Path, error: BaseException | None) -> None:
    with replacing(path) as part, open_output(part, "wav") as target:
        target.add_stream("pcm_s16le", rate=44_100)
        target.start_encoding()
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MediaError])
def test_a_failed_write_keeps_the_older_file_and_nothing_else(tmp_path, open_files, error):
    path = tmp_path / "out.wav"
    path.write_bytes(b"older")
    before = open_files()
    with pytest.raises(error):
        write_header_and_raise(path, error("stop"))
    assert [found.name for found in tmp_path.iterdir()] == ["out.wav"]
    assert path.read_bytes() == b"older"
    assert open_files() == before


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("uuid.uuid4", lambda: SimpleNamespace(hex="full"))
    (tmp_path / ".full.wav").symlink_to("/dev/full")
    with pytest.raises(MediaError, match="No space left"):
        write_header_and_raise(tmp_path / "a.wav", None)
    assert not list(tmp_path.iterdir())


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    write_audio(tmp_path / "a.wav", torch.zeros(2, 100), 44_100)
    assert (tmp_path / "a.wav").stat().st_mode == (tmp_path / "plain").stat().st_mode
