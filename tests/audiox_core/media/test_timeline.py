"""Frames and their times: from any place, in order, to the end."""

from fractions import Fraction

import pytest

from audiox_core.errors import MediaError
from audiox_core.media.files import open_media
from audiox_core.media.timeline import PictureReader, packet_time, picture_stream
from audiox_core.media.video import probe_video


@pytest.fixture
def reader(clip):
    with PictureReader(clip(frames=40, options={"g": "10"})) as reader:
        yield reader


def test_frames_come_in_order_from_at_or_before_the_time(reader):
    for time in (Fraction(0), Fraction(1), Fraction(1, 2)):
        frames = reader.frames_from(time)
        times = [next(frames).time for _ in range(5)]
        assert times[0] <= time
        assert times == sorted(set(times))


def test_times_are_multiples_of_the_frame_duration(reader):
    times = reader.frame_times()
    assert len(times) == 40
    assert times == [pytest.approx(k / reader.rate, abs=1e-3) for k in range(40)]


def test_the_frame_on_screen_is_the_last_one_that_began(reader):
    step = 1 / Fraction(reader.rate)
    assert reader.shown_at(Fraction(0)) == 0
    assert reader.shown_at(10 * step + step / 2) == pytest.approx(10 * step, abs=1e-3)


def test_the_end_is_that_of_the_last_frame(reader):
    assert float(reader.end()) == pytest.approx(40 / float(reader.rate), abs=2e-3)


def test_a_packet_without_times_has_none(clip):
    with open_media(clip()) as container:
        packet = next(container.demux(picture_stream(container, "a")))
        assert packet_time(packet) is not None
        packet.pts = packet.dts = None
        assert packet_time(packet) is None


def test_a_sound_file_has_no_picture(sound_file, noise):
    path = sound_file(
        "a.wav", noise(0.1).numpy(), 44_100, codec="pcm_f32le", kind="flt", layout="stereo"
    )
    with open_media(path) as container, pytest.raises(MediaError, match="no video stream"):
        picture_stream(container, "a.wav")


def test_the_end_of_a_program_stream_is_that_of_its_last_frame(field):
    assert probe_video(field / "mpeg2_b.mpg").seconds == pytest.approx(2.0, abs=1e-3)


def test_a_picture_that_cannot_be_decoded_is_damaged_in_one_line(field):
    with pytest.raises(MediaError, match=r"mdat-zeroed\.mp4 is damaged"):
        probe_video(field / "mdat-zeroed.mp4")


def test_recordings_that_were_joined_are_refused_where_the_times_jump_back(clip):
    joined = clip("a.ts", frames=50)
    joined.write_bytes(joined.read_bytes() * 2)
    with PictureReader(joined) as reader, pytest.raises(MediaError, match=r"jump back at 1\.9\d s"):
        list(reader.frames_from(Fraction(0)))
