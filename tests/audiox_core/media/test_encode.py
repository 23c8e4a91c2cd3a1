"""Pictures that cannot be copied are encoded with every frame at its time."""

import av
import pytest

from audiox_core.media.clip import FilePiece
from audiox_core.media.encode import encode_picture
from audiox_core.media.video import FrameGrid, probe_video, read_grids

REORDERED = {"bf": "2", "g": "25", "x264-params": "scenecut=0:b-adapt=0"}


def frames_of(path):
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def numbers_of(path, numbers, count):
    return numbers(read_grids(path, [FrameGrid(count, 25.0, 96)])[0])


@pytest.mark.parametrize("name", ["a.avi", "a.mkv", "a.h264"])
def test_every_frame_is_kept_at_its_time(clip, numbers, tmp_path, name):
    encode_picture(FilePiece(clip(name, 50, options=REORDERED)), tmp_path / "b.mp4")
    assert len(frames_of(tmp_path / "b.mp4")) == 50
    assert numbers_of(tmp_path / "b.mp4", numbers, 50) == list(range(50))
    assert probe_video(tmp_path / "b.mp4").seconds == pytest.approx(2.0, abs=0.01)


def test_a_part_holds_its_frames_only(clip, numbers, tmp_path):
    piece = FilePiece(clip("a.mp4", 75, options=REORDERED), 1.0, 1.08)
    encode_picture(piece, tmp_path / "b.mp4")
    assert numbers_of(tmp_path / "b.mp4", numbers, 27) == list(range(25, 52))
    assert len(frames_of(tmp_path / "b.mp4")) == 27


def test_an_irregular_rate_stays_irregular(field, tmp_path):
    encode_picture(FilePiece(field / "vfr.mp4"), tmp_path / "b.mp4")
    expected = [float(f.pts * f.time_base) for f in frames_of(field / "vfr.mp4")]
    found = [float(f.pts * f.time_base) for f in frames_of(tmp_path / "b.mp4")]
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_turned_picture_is_encoded_upright(clip, numbers, tmp_path, turned):
    encode_picture(FilePiece(clip("a.mp4", 10, turned=turned)), tmp_path / "b.mp4")
    (first, *_) = frames_of(tmp_path / "b.mp4")
    assert (first.width, first.height, first.rotation) == (128, 96, 0)
    assert numbers_of(tmp_path / "b.mp4", numbers, 10) == list(range(10))


def test_depth_and_colours_stay(field, tmp_path):
    encode_picture(FilePiece(field / "hlg.mp4"), tmp_path / "b.mp4")
    found = []
    for path in (field / "hlg.mp4", tmp_path / "b.mp4"):
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            depth = context.format.components[0].bits
            found.append((depth, context.color_trc, context.color_primaries, context.colorspace))
    assert found[0] == found[1]


def test_an_odd_size_loses_a_column(clip, tmp_path):
    path = clip("a.mkv", 5, codec="ffv1", size=(63, 47), pixels="yuv444p")
    encode_picture(FilePiece(path), tmp_path / "b.mp4")
    assert (frames_of(tmp_path / "b.mp4")[0].width, frames_of(tmp_path / "b.mp4")[0].height) == (
        62,
        46,
    )
