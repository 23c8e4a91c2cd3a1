"""What is cut off is told from what is whole, also where FFmpeg shows what is left."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from audiox_core.errors import MediaError
from audiox_core.media.audio import read_audio
from audiox_core.media.pixels import read_image
from audiox_core.media.truncation import is_animated_webp, set_matroska_duration
from audiox_core.media.video import probe_video


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * share)])
    return path


@pytest.fixture
def picture(tmp_path):
    """A picture with much detail, or several in turn."""

    def make(name: str, codec: str, pixels: str, frames: int = 1) -> Path:
        path = tmp_path / name
        noise = np.random.RandomState(0).randint(0, 256, size=(64, 96, 3)).astype(np.uint8)
        with av.open(str(path), "w", format="image2" if name.endswith("jpg") else None) as target:
            stream = target.add_stream(codec, rate=5)
            stream.height, stream.width, stream.pix_fmt = 64, 96, pixels
            for k in range(frames):
                frame = av.VideoFrame.from_ndarray(np.roll(noise, 9 * k, axis=0), format="rgb24")
                frame = frame.reformat(format=pixels)
                frame.pts = k
                target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
        return path

    return make


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("sound", [True, False])
def test_half_a_matroska_video_is_refused_as_truncated(clip, noise, name, share, sound):
    rate = 48_000 if name.endswith("webm") else 44_100
    path = cut(clip(name, frames=100, sound=noise(4, rate) if sound else None), share)
    for read in (probe_video, read_audio) if sound else (probe_video,):
        with pytest.raises(MediaError, match=r"truncated: its header says 4\.\d+ s"):
            read(path)


def test_half_a_matroska_audio_file_is_refused_as_truncated(sound_file):
    wave = np.random.RandomState(0).randn(1, 96_000).astype(np.float32) / 9
    path = sound_file("a.mka", wave, 48_000, codec="libopus", kind="flt", layout="mono")
    assert read_audio(path).shape[1] == pytest.approx(88_200, abs=100)
    with pytest.raises(MediaError, match="is truncated"):
        read_audio(cut(path, 0.5))


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
def test_a_recording_that_never_ended_is_read(clip, name):
    path = cut(clip(name, frames=100, container={"live": "1"}), 0.5)
    assert 1 < probe_video(path).seconds < 3


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
def test_a_picture_that_outlasts_its_sound_or_ends_before_it_is_whole(clip, noise, name):
    rate = 48_000 if name.endswith("webm") else 44_100
    for frames, seconds in ((100, 1), (25, 4)):
        path = clip(name, frames=frames, sound=noise(seconds, rate))
        assert probe_video(path).seconds == pytest.approx(frames / 25, abs=2e-3)
        assert read_audio(path).shape[1] == pytest.approx(seconds * 44_100, abs=2_048)


def test_a_last_frame_that_stays_long_is_not_missing(clip):
    path = clip("a.mkv", frames=10)
    set_matroska_duration(path, Fraction(9))
    assert probe_video(path).seconds == pytest.approx(0.4)


def test_a_few_lost_frames_do_not_matter(clip):
    path = clip("a.mkv", frames=100, codec="rawvideo", size=(64, 48))
    assert probe_video(cut(path, 0.93)).seconds < 4


def test_a_file_that_begins_late_is_whole(clip):
    times = [300 + 4 * k for k in range(50)]
    path = clip("a.mkv", frames=50, times=times, tick=Fraction(1, 100))
    assert probe_video(path).seconds == pytest.approx(2)


PICTURES = [("a.jpg", "mjpeg", "yuvj444p"), ("a.gif", "gif", "rgb8")]


@pytest.mark.parametrize("made", PICTURES, ids=lambda made: made[0])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.99])
def test_a_truncated_image_is_refused(picture, made, share):
    path = picture(*made)
    assert read_image(path).shape == (3, 64, 96)
    with pytest.raises(MediaError, match="is truncated"):
        read_image(cut(path, share))


def test_a_truncated_gif_is_refused(picture):
    path = picture("a.gif", "gif", "rgb8", frames=5)
    assert probe_video(path).seconds == pytest.approx(1)
    for read in (probe_video, read_image):
        with pytest.raises(MediaError, match="is truncated"):
            read(cut(path, 0.7))


def test_a_gif_without_its_closing_byte_is_whole(picture):
    path = picture("a.gif", "gif", "rgb8")
    path.write_bytes(path.read_bytes()[:-1])
    assert read_image(path).shape == (3, 64, 96)


def test_the_end_of_a_thumbnail_is_not_the_end_of_a_photograph(picture):
    path = picture("a.jpg", "mjpeg", "yuvj444p")
    data = path.read_bytes()
    thumbnail = b"Exif\0\0" + b"\xff\xd8\xff\xda\0\x02\xff\xd9"
    with_one = data[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    path.write_bytes(with_one + data[2:] + b"more after the end")
    assert read_image(path).shape == (3, 64, 96)
    path.write_bytes(with_one + data[2 : len(data) // 2])
    with pytest.raises(MediaError, match="is truncated"):
        read_image(path)


def test_a_header_at_the_border_of_the_first_bytes_is_read(field):
    assert probe_video(field / "segment-at-65532.mkv").seconds == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("size", [4, 11, 40])
def test_a_matroska_header_that_ends_early_is_an_error_of_one_line(clip, size):
    path = clip("a.mkv", frames=10)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(MediaError, match=r"a\.mkv"):
        probe_video(path)


def test_an_animated_webp_is_told_from_a_still_one(field):
    assert is_animated_webp(field / "anim.webp")
    assert not is_animated_webp(field / "phone.3gp")
    with pytest.raises(MediaError, match=r"animated WebP.*Convert it to MP4 or GIF"):
        probe_video(field / "anim.webp")
