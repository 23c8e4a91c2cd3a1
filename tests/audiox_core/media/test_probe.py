"""What a file's header says: streams and the length of the sound."""

import av
import pytest

from audiox_core.errors import MediaError
from audiox_core.media.probe import media_kind, probe_media


def test_a_video_with_sound_has_both(clip, noise):
    info = probe_media(clip(sound=noise(2.0)))
    assert (info.has_picture, info.has_sound) == (True, True)
    assert info.seconds == pytest.approx(2.0, abs=0.05)


def test_a_video_without_sound_has_a_picture_alone(clip):
    info = probe_media(clip())
    assert (info.has_picture, info.has_sound, info.seconds) == (True, False, 0.0)


def test_a_sound_file_has_no_picture(sound_file, noise):
    path = sound_file(
        "a.wav", noise(1.5).numpy(), 44_100, codec="pcm_f32le", kind="flt", layout="stereo"
    )
    info = probe_media(path)
    assert (info.has_picture, info.has_sound) == (False, True)
    assert info.seconds == pytest.approx(1.5)


def test_a_file_that_is_not_media_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("no media\n" * 500, encoding="utf-8")
    with pytest.raises(MediaError, match="not a readable media file"):
        probe_media(tmp_path / "text.mp4")


def test_the_kind_of_a_file_follows_from_its_content(clip, field, sound_file, noise, tmp_path):
    wave = noise(0.1).numpy()
    sound = {"codec": "pcm_f32le", "kind": "flt", "layout": "stereo"}
    assert media_kind(clip()) == "video"
    assert media_kind(sound_file("a.wav", wave, 44_100, **sound)) == "audio"
    with av.open(str(clip())) as source:
        next(source.decode(video=0)).to_image().save(tmp_path / "picture.png")
    assert media_kind((tmp_path / "picture.png").rename(tmp_path / "picture.mp4")) == "image"


def test_a_file_with_subtitles_alone_has_no_kind(tmp_path):
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nrain\n", encoding="utf-8")
    with pytest.raises(MediaError, match="no picture and no audio"):
        media_kind(tmp_path / "a.srt")
