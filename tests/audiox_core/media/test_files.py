"""Errors in one line, outputs whole or not at all."""

import errno
import os
import socket
import subprocess
from io import FileIO
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

from audiox_core.errors import AudioXError, MediaError
from audiox_core.media import files
from audiox_core.media.audio import read_audio, write_audio
from audiox_core.media.files import check_output, open_media, open_output, replacing
from audiox_core.media.mux import check_mux, mux_soundtrack
from audiox_core.media.pixels import read_image
from audiox_core.media.video import FrameGrid, probe_video, read_grids


def read_frames(path, *, count=50, fps=5.0, size=224, **options):
    return read_grids(path, [FrameGrid(count, fps, size)], **options)[0]


READERS = [read_audio, probe_video, read_frames, read_image]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere.mp4", "no file"),
        ("folder", "is a folder"),
        ("empty.mp4", "is empty"),
        ("text.mp4", "not a readable media file"),
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
    with pytest.raises(MediaError, match="is truncated"):
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


def test_file_names_may_contain_colons_and_percent_signs(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = clip("clip.mp4")
    info = probe_video(path)
    path.rename(tmp_path / "http:%03d.mp4")
    assert probe_video(Path("http:%03d.mp4")) == info


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
def test_an_impossible_output_is_refused_before_the_work(tmp_path, name, says):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(MediaError, match=says):
        check_output(tmp_path / name)


def test_a_folder_without_write_permission_is_refused_before_the_work():
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


OUTPUTS = ["b.wav", "b.flac", "b.mkv", "b.webm", "b.mp4"]


@pytest.fixture
def write_to(clip, noise):
    """Write about 100 kB of sound, or of picture and sound, to a path."""
    video = {suffix: clip(f"a{suffix}", frames=40) for suffix in (".mp4", ".webm")}

    def write(path: Path) -> None:
        if path.suffix in (".wav", ".flac"):
            write_audio(path, noise(0.6), 44_100)
        else:
            source = video[".webm" if path.suffix == ".webm" else ".mp4"]
            mux_soundtrack(source, noise(3), 44_100, path)

    return write


@pytest.fixture
def disk(monkeypatch):
    """Make files that take at most `once` bytes a call, and `room` bytes in all."""

    def set_up(once: int, room: int | None = None) -> None:
        class Disk(FileIO):
            def write(self, data):
                left = once if room is None else min(once, room - self.tell())
                if left <= 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return super().write(data[:left])

        monkeypatch.setattr(files, "_create", lambda path: Disk(path, "w+"))

    return set_up


@pytest.mark.parametrize("name", OUTPUTS)
def test_partial_writes_are_continued(tmp_path, write_to, disk, name):
    write_to(tmp_path / f"whole{Path(name).suffix}")
    disk(once=1_000)
    write_to(tmp_path / name)
    whole, slow = (read_audio(tmp_path / found) for found in (f"whole{Path(name).suffix}", name))
    assert torch.equal(whole, slow)


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("room", [0, 1, 100, 10_000, 30_000])
def test_a_disk_that_fills_up_keeps_the_older_file(
    tmp_path, write_to, disk, open_files, name, room
):
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / name
    path.write_bytes(b"older")
    disk(once=4_096, room=room)
    before = open_files()
    with pytest.raises(MediaError, match="No space left"):
        write_to(path)
    assert [found.name for found in path.parent.iterdir()] == [name]
    assert path.read_bytes() == b"older"
    assert open_files() == before


def test_an_error_in_the_last_bytes_is_reported(tmp_path, write_to, disk):
    write_to(tmp_path / "b.wav")
    disk(once=1 << 20, room=(tmp_path / "b.wav").stat().st_size - 1)
    with pytest.raises(MediaError, match="No space left"):
        write_to(tmp_path / "c.wav")


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_full_disk_is_an_error_that_says_so(tmp_path, write_to, name):
    folder = tmp_path / "small"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=24k", "none", str(folder)]
    try:
        subprocess.run(mounting, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    try:
        (folder / name).write_bytes(b"older")
        with pytest.raises(MediaError, match="No space left"):
            write_to(folder / name)
        assert [found.name for found in folder.iterdir()] == [name]
        assert (folder / name).read_bytes() == b"older"
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("step", ["fsync", "close"])
def test_a_disk_that_is_full_when_the_file_is_closed_is_an_error(tmp_path, monkeypatch, step):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Disk(FileIO):
        def close(self):
            if not self.closed:
                super().close()
                fail()

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(files, "_create", lambda path: Disk(path, "w+"))
    with pytest.raises(MediaError, match="No space left"):
        write_header_and_raise(tmp_path / "a.wav", None)
    assert not list(tmp_path.iterdir())


def test_an_interrupt_while_bytes_are_written_is_not_lost(tmp_path, monkeypatch):
    class Disk(FileIO):
        def write(self, data):
            raise KeyboardInterrupt

    monkeypatch.setattr(files, "_create", lambda path: Disk(path, "w+"))
    with pytest.raises(KeyboardInterrupt):
        write_header_and_raise(tmp_path / "a.wav", None)
    assert not list(tmp_path.iterdir())


def test_a_read_only_disk_is_an_error(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(MediaError, match="Read-only"):
        check_output(tmp_path / "a.wav")


REFUSED = [
    lambda path, video: check_output(path),
    lambda path, video: write_audio(path, torch.zeros(2, 100), 44_100),
    lambda path, video: check_mux(video, path),
    lambda path, video: check_mux(path, video.with_name("b.mp4")),
    *[lambda path, video, read=read: read(path) for read in READERS],
]


@pytest.mark.parametrize("use", REFUSED)
def test_a_name_that_is_too_long_is_one_line(tmp_path, clip, use):
    suffix = ".wav" if use is REFUSED[1] else ".mp4"
    with pytest.raises(MediaError, match="File name too long") as caught:
        use(tmp_path / ("x" * 300 + suffix), clip(frames=2))
    assert "\n" not in str(caught.value)


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A folder that may not be searched, for root neither."""
    folder = tmp_path / "locked"
    folder.mkdir()
    look = os.stat

    def refuse(path, *arguments, **named):
        if isinstance(path, (str, Path)) and Path(path).parent == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return look(path, *arguments, **named)

    monkeypatch.setattr(os, "stat", refuse)
    return folder


@pytest.mark.parametrize("use", REFUSED)
def test_a_folder_that_may_not_be_searched_is_one_line(locked, clip, use):
    suffix = ".wav" if use is REFUSED[1] else ".mp4"
    with pytest.raises(MediaError, match="Permission denied") as caught:
        use(locked / f"a{suffix}", clip(frames=2))
    assert "\n" not in str(caught.value)


def test_a_file_without_read_permission_is_an_error(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"secret")
    monkeypatch.setattr(
        Path, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    with pytest.raises(MediaError, match=r"cannot be read: Permission denied"):
        read_audio(path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "link"])
def test_pipes_and_devices_are_refused_without_waiting(tmp_path, monkeypatch, read, kind):
    monkeypatch.chdir(tmp_path)  # a socket's whole name may have 107 characters
    path = Path("a.mp4")
    with socket.socket(socket.AF_UNIX) as listening:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            listening.bind(str(path))
        else:
            path.symlink_to("/dev/zero" if kind == "device" else "/dev/null")
        with pytest.raises(MediaError, match="a pipe, device or socket"):
            read(path)


def test_a_link_to_a_file_is_the_file(clip, tmp_path):
    (tmp_path / "link.mp4").symlink_to(path := clip())
    assert probe_video(tmp_path / "link.mp4") == probe_video(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_picture_that_is_damaged_in_its_middle_is_one_line(tmp_path, share):
    path = tmp_path / "a.png"
    pixels = np.random.RandomState(0).randint(0, 256, size=(64, 64, 3)).astype(np.uint8)
    with av.open(str(path), "w") as target:
        stream = target.add_stream("png", rate=1)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "rgb24"
        target.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        target.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    place = int(len(data) * share)
    data[place : place + 64] = bytes(64)
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"^a\.png is damaged"):
        read_image(path)


@pytest.mark.parametrize("kind", ["ExternalError", "InvalidDataError", "ArgumentError"])
@pytest.mark.parametrize(
    ("culprit", "blamed"),
    [
        ("avcodec_send_packet()", True),
        ("avcodec_receive_frame()", True),
        ('avcodec_open2("h264", {})', True),
        (None, True),
        ("avcodec_send_frame()", False),
        ("avcodec_receive_packet()", False),
        ('avcodec_open2("libopus", {})', False),
        ("/elsewhere/.part.mp4", False),
    ],
)
def test_a_file_is_blamed_for_its_own_damage_only(clip, kind, culprit, blamed):
    error = getattr(av.error, kind)(22, "trouble", culprit)
    with pytest.raises(MediaError if blamed else av.FFmpegError), open_media(clip(frames=2)):
        raise error


def test_only_old_temporary_files_are_removed(tmp_path):
    old, new = (tmp_path / f".{digit * 32}.mp4" for digit in "ab")
    others = [tmp_path / name for name in (".hidden.mp4", f"{'a' * 32}.mp4", "a.mp4")]
    for path in (old, new, *others):
        path.touch()
    for path in (old, *others):
        os.utime(path, (10, 10))
    files.remove_leftovers(tmp_path, before=20.0)
    assert sorted(tmp_path.iterdir()) == sorted([new, *others])
