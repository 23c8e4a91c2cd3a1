"""Which frame is taken when, how it is turned and resized, and what a file is found to hold."""

import json
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from audiox_core.config import SyncConfig, VideoConfig
from audiox_core.errors import MediaError, SettingsError
from audiox_core.media import timeline
from audiox_core.media.pixels import read_image, resize_frames
from audiox_core.media.timeline import PictureReader
from audiox_core.media.video import (
    FrameGrid,
    frame_grids,
    pad_indices,
    probe_video,
    read_grids,
    reference_frame_indices,
)

GOLDEN = Path(__file__).parents[2] / "golden"
ROWS = json.loads((GOLDEN / "v1_video_io.json").read_text())["facts"]["rows"]

RATES = [1, 16, 24, 25, Fraction(30_000, 1001), 30, 60]


def read_frames(path, *, count=50, fps=5.0, size=224, **options):
    return read_grids(path, [FrameGrid(count, fps, size)], **options)[0]


def nearest(fps: Fraction | float, frames: int, start: float, count: int, rate: float) -> list[int]:
    """The rule, for a constant rate, said another way than in the code."""
    times = [Fraction(k) / Fraction(fps) for k in range(frames)]
    return nearest_frames(
        times, [Fraction(str(start)) + k / Fraction(str(rate)) for k in range(count)]
    )


def nearest_frames(times: list[Fraction], wanted: list[Fraction]) -> list[int]:
    """The rule for any times: the nearest, of two equally near ones the earlier."""
    return [min(range(len(times)), key=lambda k: (abs(times[k] - time), k)) for time in wanted]


@pytest.fixture
def decoded(monkeypatch):
    """The times of all frames that are decoded."""
    times = []
    decode = PictureReader._decode

    def counting(self):
        for frame in decode(self):
            times.append(frame.time)
            yield frame

    monkeypatch.setattr(PictureReader, "_decode", counting)
    return times


@pytest.mark.parametrize("fps", RATES, ids=str)
@pytest.mark.parametrize("start", [0.0, 0.7])
def test_frames_of_any_rate_are_taken_at_true_times(clip, numbers, fps, start):
    path = clip(frames=60 if fps > 1 else 6, fps=fps)
    frames = read_frames(path, start=start, count=12, size=96)
    assert frames.shape == (12, 3, 96, 96)
    assert frames.dtype == torch.uint8
    assert numbers(frames) == nearest(fps, 60 if fps > 1 else 6, start, 12, 5)


BOTH = [FrameGrid(10, 5.0, 96), FrameGrid(50, 25.0, 64)]  # two seconds of them


@pytest.mark.parametrize("fps", RATES[1:], ids=str)
@pytest.mark.parametrize("start", [0.0, 0.7])
def test_both_streams_of_any_rate_are_at_true_times(clip, numbers, decoded, fps, start):
    frames = 100
    slow, fast = read_grids(clip(frames=frames, fps=fps), BOTH, start=start)
    assert (slow.shape, fast.shape) == ((10, 3, 96, 96), (50, 3, 64, 64))
    assert numbers(slow) == nearest(fps, frames, start, 10, 5)
    assert numbers(fast) == nearest(fps, frames, start, 50, 25)
    assert len(decoded) == len(set(decoded))  # one pass


def test_both_streams_of_a_variable_rate_are_at_true_times(clip, numbers):
    times = [0, 1, 2, 50, 51, 52, 53, 90, 140, 141]  # hundredths of a second
    path = clip("a.mkv", frames=10, times=times, tick=Fraction(1, 100))
    slow, fast = read_grids(path, BOTH)
    exact = [Fraction(time, 100) for time in times]
    assert numbers(slow) == nearest_frames(exact, [Fraction(k, 5) for k in range(10)])
    assert numbers(fast) == nearest_frames(exact, [Fraction(k, 25) for k in range(50)])


def test_reading_both_frame_rates_together_equals_reading_each_alone(clip):
    path = clip(frames=90, fps=30)
    for options in ({}, {"start": 0.5, "end": 1.3}, {"timing": "reference"}):
        for grid, frames in zip(BOTH, read_grids(path, BOTH, **options), strict=True):
            alone = read_frames(path, count=grid.count, fps=grid.fps, size=grid.size, **options)
            assert torch.equal(frames, alone)


def test_reference_timing_reads_30_fps_clips_too_fast_for_synchformer(clip, numbers):
    slow, fast = read_grids(clip(frames=60, fps=30), BOTH, timing="reference")
    assert numbers(slow) == list(range(0, 60, 6))
    assert numbers(fast) == [*range(0, 60, 2), *[58] * 20]


def test_only_models_with_synchformer_read_frames_at_two_rates():
    assert frame_grids(VideoConfig()) == [FrameGrid(50, 5.0, 224)]
    twice = frame_grids(VideoConfig(sync=SyncConfig()))
    assert twice == [FrameGrid(50, 5.0, 224), FrameGrid(250, 25.0, 224)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.ts", "a.avi", "a.flv"])
@pytest.mark.parametrize("start", [0.0, 2.5])
def test_every_container_gives_the_same_frames(clip, numbers, name, start):
    frames = read_frames(clip(name, frames=100), start=start, count=10, fps=8, size=96)
    assert numbers(frames) == nearest(25, 100, start, 10, 8)


def test_a_bare_stream_without_times_counts_by_its_rate(clip, numbers):
    path = clip("a.h264", frames=60)
    assert numbers(read_frames(path, start=1.0, count=5, size=96)) == [25, 30, 35, 40, 45]
    assert probe_video(path).seconds == pytest.approx(60 / 25)


def test_frames_of_a_variable_rate_are_taken_by_their_times(clip, numbers):
    times = [0, 1, 2, 50, 51, 52, 53, 90, 140, 141]  # hundredths of a second
    path = clip("a.mkv", frames=10, times=times, tick=Fraction(1, 100))
    frames = read_frames(path, count=8, fps=5, size=96)  # 0, 0.2 .. 1.4 s
    assert numbers(frames) == [0, 2, 3, 6, 7, 7, 8, 8]
    assert probe_video(path).seconds == pytest.approx(1.41, abs=0.2)


def test_times_count_from_the_first_frame(clip, numbers):
    path = clip("a.mkv", frames=30, times=[200 + 4 * k for k in range(30)], tick=Fraction(1, 100))
    assert numbers(read_frames(path, count=5, size=96)) == [0, 5, 10, 15, 20]
    assert probe_video(path).seconds == pytest.approx(1.2)


def test_reordered_frames_of_a_long_group_come_in_order(clip, numbers):
    options = {"bf": "3", "g": "300", "preset": "medium", "b_strategy": "0"}
    path = clip(frames=120, options=options)
    assert numbers(read_frames(path, start=2.0, count=20, fps=25, size=96)) == list(range(50, 70))


def test_of_two_equally_near_frames_the_earlier_is_taken(clip, numbers):
    path = clip(frames=10, fps=5)
    assert numbers(read_frames(path, start=0.1, count=3, fps=5, size=96)) == [0, 1, 2]


def test_times_behind_the_end_repeat_the_last_frame(clip, numbers):
    assert numbers(read_frames(clip(frames=8, fps=5), count=12, size=96)) == [*range(8), *[7] * 4]
    assert numbers(read_frames(clip(frames=8, fps=5), start=9.0, count=2, size=96)) == [7, 7]


@pytest.mark.parametrize(
    ("end", "expected"),
    [(1.0, [0, 5, 10, 15, 20, 24, 24]), (0.99, [0, 5, 10, 15, 20, 24, 24]), (0.01, [0] * 7)],
)
def test_frames_from_the_end_on_do_not_count(clip, numbers, end, expected):
    assert numbers(read_frames(clip(frames=60), count=7, end=end, size=96)) == expected


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_turned_clips_are_shown_upright(clip, numbers, turned):
    path = clip(frames=12, turned=turned)
    frames = read_frames(path, count=3, fps=5, size=96)
    assert numbers(frames) == [0, 5, 10]
    top, bottom = frames[0, :, 3:10, :].float(), frames[0, :, -10:, :].float()
    assert top[0].mean() > 180
    assert top[1].mean() < 60
    assert bottom[0].mean() < 60


def test_a_mirrored_clip_is_shown_as_it_should_be(clip, numbers):
    path = clip(frames=3, turned=180)
    data, there = path.read_bytes(), (-65536).to_bytes(4, "big", signed=True)
    matrix = there + bytes(12) + there  # a = d = -1; and now d = 1: mirrored from left to right
    assert data.count(matrix) == 1
    path.write_bytes(data.replace(matrix, there + bytes(12) + (65536).to_bytes(4, "big")))
    with av.open(str(path)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    shown = read_frames(path, count=1, size=128)[0]
    expected = resize_frames(torch.from_numpy(stored[:, ::-1].copy()).permute(2, 0, 1)[None], 128)
    assert torch.equal(shown, expected[0])


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mkv", "ffv1", "yuv420p10le"),
        ("a.mkv", "ffv1", "gray"),
        ("a.mkv", "ffv1", "yuv444p16le"),
        ("a.mkv", "ffv1", "bgra"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.gif", "gif", "rgb8"),
        ("a.mp4", "mpeg4", "yuv420p"),
        ("a.avi", "mjpeg", "yuvj422p"),
    ],
)
def test_any_pixel_format_becomes_rgb(clip, numbers, name, codec, pixels):
    path = clip(name, frames=10, fps=10, codec=codec, pixels=pixels)
    frames = read_frames(path, count=5, fps=5, size=96)
    assert numbers(frames) == [0, 2, 4, 6, 8]
    if pixels != "gray":
        red, green, blue = frames[0, :, 5, 48].tolist()
        assert red > 190
        assert max(green, blue) < 80


def test_a_far_start_is_sought_and_decoding_stops_after_the_last_frame(clip, decoded):
    path = clip(frames=250, options={"g": "25"})
    read_frames(path, start=8.0, count=2, fps=5, size=32)
    assert len(decoded) < 40  # the first frame of all, a group, and what threads have under way
    assert max(decoded) < 8.4


def test_wide_gaps_are_jumped_over(clip, decoded, numbers):
    path = clip(frames=250, options={"g": "10"})
    frames = read_frames(path, count=5, fps=0.5, size=96)
    assert numbers(frames) == [0, 50, 100, 150, 200]
    assert len(decoded) < 90


def test_gaps_within_a_group_of_pictures_are_decoded_once(clip, decoded, numbers):
    path = clip(frames=200, options={"g": "250"})
    assert numbers(read_frames(path, count=4, fps=0.5, size=96)) == [0, 50, 100, 150]
    assert len(decoded) < 2 * 200


def test_a_container_that_cannot_seek_is_decoded_from_its_start(clip, numbers, monkeypatch):
    path = clip("a.ts", frames=100)
    monkeypatch.setattr(timeline, "seek", lambda *_: False)
    assert numbers(read_frames(path, start=3.0, count=3, size=96)) == [75, 80, 85]
    assert probe_video(path).seconds == pytest.approx(4.0)


def test_a_damaged_packet_costs_its_frames_only(clip, numbers, caplog):
    path = clip(frames=40, options={"g": "1"})
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][20]
        place, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[place : place + size] = b"\xff" * size
    path.write_bytes(bytes(data))
    found = numbers(read_frames(path, count=40, fps=25, size=96))
    assert found[:20] == list(range(20))
    assert found[21:] == list(range(21, 40))
    assert "damaged" in caplog.text


@pytest.mark.parametrize("fps", RATES, ids=str)
def test_a_clip_lasts_until_its_last_frame_ends(clip, fps):
    info = probe_video(clip(frames=12, fps=fps))
    assert info.seconds == pytest.approx(12 / fps, abs=1e-3)
    assert not info.has_audio


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_sound_that_outlasts_the_picture_does_not_count(clip, noise, name):
    rate = 48_000 if name.endswith("webm") else 44_100
    info = probe_video(clip(name, frames=50, sound=noise(5, rate)))
    assert info.seconds == pytest.approx(2.0, abs=2e-3)
    assert info.has_audio


def test_a_single_frame_lasts_as_long_as_its_packet(clip):
    assert probe_video(clip(frames=1, fps=25)).seconds == pytest.approx(0.04)


@pytest.mark.parametrize("groups", ["12", "250"])
def test_a_truncated_file_with_its_index_at_the_start_is_refused(clip, groups):
    path = clip(frames=100, options={"g": groups}, container={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(MediaError, match="is truncated"):
        probe_video(path)


@pytest.mark.parametrize("read", [probe_video, read_frames])
def test_an_audio_file_is_refused_as_a_video(sound_file, read):
    path = sound_file(
        "a.wav", np.zeros((1, 800), np.int16), 8_000, codec="pcm_s16le", kind="s16", layout="mono"
    )
    with pytest.raises(MediaError, match="no video stream"):
        read(path)


@pytest.mark.parametrize("read", [probe_video, read_frames])
@pytest.mark.parametrize(("name", "codec", "pixels"), [("a.png", "png", "rgb24")])
def test_a_still_image_given_as_a_video_names_the_image_option(clip, read, name, codec, pixels):
    with pytest.raises(MediaError, match="image option"):
        read(clip(name, frames=1, codec=codec, pixels=pixels))


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_video_without_frames_is_refused(tmp_path, name):
    path = tmp_path / name
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        heard = target.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 4096), np.float32), "fltp", "stereo")
        frame.sample_rate = 44_100
        target.mux(heard.encode(frame))
        target.mux(heard.encode(None))
    with pytest.raises(MediaError, match=r"empty video stream|no video stream"):
        probe_video(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": -1.0},
        {"start": float("nan")},
        {"count": 0},
        {"fps": 0.0},
        {"size": 0},
        {"start": 1.0, "end": 1.0},
        {"timing": "exact"},
        {"timing": "reference", "start": 5.0},
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(clip, wrong):
    with pytest.raises(SettingsError):
        read_frames(clip(frames=30), **wrong)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['fps']}fps-{row['total_frames']}")
def test_reference_timing_takes_the_recorded_frames(row):
    fps, total, start, target = (row[k] for k in ("fps", "total_frames", "seek", "target_fps"))
    count = row["duration"] * target
    found = reference_frame_indices(fps, total, start, count, target)
    assert found == row["frame_ids"]
    padded = [index % 251 for index in pad_indices(found, count)]
    assert padded == row["final_frame_values_mod251"]


@pytest.mark.parametrize("fps", [24, 30, Fraction(30_000, 1001), 3])
def test_reference_timing_reads_every_nth_frame(clip, numbers, fps):
    path = clip(frames=40, fps=fps)
    found = numbers(read_frames(path, start=0.4, count=10, timing="reference", size=96))
    assert found == pad_indices(reference_frame_indices(float(fps), 40, 0.4, 10, 5), 10)


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
    st.integers(1, 30),
    st.integers(0, 30),
)
def test_reading_follows_the_rule_of_the_nearest_frame(gaps, rate, start):
    from audiox_core.media.timeline import TimedFrame
    from audiox_core.media.video import choose_frames

    times = [Fraction(sum(gaps[:k]), 10) for k in range(len(gaps))]

    class Reader:
        def frames_from(self, time):
            keyframe = max(k for k in range(0, len(times), 4) if k == 0 or times[k] <= time)
            return iter([TimedFrame(time, None) for time in times[keyframe:]])

    wanted = [Fraction(start, 10) + Fraction(k, rate) for k in range(20)]
    chosen = [frame.time for frame in choose_frames(Reader(), wanted, None)]
    assert chosen == [times[index] for index in nearest_frames(times, wanted)]


@pytest.fixture(scope="module")
def recorded():
    return load_file(GOLDEN / "v1_video_io.safetensors")


@pytest.mark.parametrize("size", ["small", "big"])
def test_resizing_gives_the_recorded_pixels(recorded, size):
    stream = np.random.RandomState((zlib.crc32(b"input.video_io.big") + 1234) % 2**32)
    big = stream.randint(0, 256, size=(1, 3, 480, 300)).astype(np.uint8)
    frames = recorded["resize_in_small"] if size == "small" else torch.from_numpy(big)
    difference = (resize_frames(frames, 224).int() - recorded[f"resize_out_{size}"].int()).abs()
    fused = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    assert difference.max() <= (0 if fused else 1)
    assert (difference > 0).sum() <= 5


def test_frames_of_the_right_size_stay_as_they_are():
    frames = torch.randint(0, 256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    frames = frames.to(torch.uint8)
    assert resize_frames(frames, 8) is frames


@pytest.mark.parametrize(
    "frames", [torch.zeros(3, 8, 8, dtype=torch.uint8), torch.zeros(1, 3, 8, 8)]
)
def test_only_bytes_are_resized(frames):
    with pytest.raises(SettingsError, match="uint8"):
        resize_frames(frames, 4)


@pytest.fixture
def image(tmp_path):
    """Write `h w c` pixels with PyAV."""

    def make(
        name: str, pixels: np.ndarray, codec: str, kind: str, stored: str | None = None
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", format="image2" if name.endswith("jpg") else None) as target:
            stream = target.add_stream(codec, rate=1)
            stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], stored or kind
            frame = av.VideoFrame.from_ndarray(pixels, format=kind)
            target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
        return path

    return make


@pytest.fixture(scope="module")
def pixels():
    return np.random.RandomState(0).randint(0, 256, size=(40, 64, 3)).astype(np.uint8)


def test_a_png_is_read_exactly(image, pixels):
    read = read_image(image("a.png", pixels, "png", "rgb24"))
    assert read.dtype == torch.uint8
    assert torch.equal(read, torch.from_numpy(pixels).permute(2, 0, 1))


def test_a_still_picture_becomes_the_recorded_frame():
    case = load_file(GOLDEN / "v1_image_input.safetensors")
    picture = case["image_hwc"].permute(2, 0, 1)[None]
    frame = resize_frames(picture, 224)[0, :, ::4, ::4].float() / 255
    torch.testing.assert_close(frame, case["frame0"], atol=0.502 / 255, rtol=0)  # rounded here


def test_transparent_parts_of_a_picture_are_black(image, pixels):
    alpha = np.full((40, 64, 1), 255, np.uint8)
    alpha[:20] = 0
    read = read_image(image("a.png", np.concatenate([pixels, alpha], axis=2), "png", "rgba"))
    assert not read[:, :20].any()
    assert torch.equal(read[:, 20:], torch.from_numpy(pixels).permute(2, 0, 1)[:, 20:])


@pytest.mark.parametrize(
    ("name", "codec", "stored"), [("a.jpg", "mjpeg", "yuvj444p"), ("a.webp", "libwebp", "yuv420p")]
)
def test_lossy_pictures_are_read(image, name, codec, stored):
    grey = np.full((40, 64, 3), 128, np.uint8)
    grey[:, 32:] = 220
    read = read_image(image(name, grey, codec, "rgb24", stored)).float()
    assert read.shape == (3, 40, 64)
    assert read[:, :, :24].mean() == pytest.approx(128, abs=6)
    assert read[:, :, 40:].mean() == pytest.approx(220, abs=6)


@pytest.mark.parametrize(
    ("orientation", "bright"),  # of the EXIF standard: which edge of the upright picture
    [(1, "left"), (3, "right"), (6, "top"), (8, "bottom")],
)
def test_a_turned_photograph_is_read_upright(image, orientation, bright):
    stored = np.full((40, 64, 3), 60, np.uint8)
    stored[:, :16] = 230  # its left edge
    path = image("a.jpg", stored, "mjpeg", "rgb24", "yuvj444p")
    tag = b"\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation]) + b"\0\0"
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + tag + bytes(4)
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    picture = read_image(path).float()
    edges = {
        "left": picture[:, :, :8],
        "right": picture[:, :, -8:],
        "top": picture[:, :8],
        "bottom": picture[:, -8:],
    }
    assert max(edges, key=lambda edge: edges[edge].mean()) == bright
    assert picture.shape == ((3, 40, 64) if orientation in (1, 3) else (3, 64, 40))


def test_an_audio_file_is_refused_as_an_image(sound_file):
    path = sound_file(
        "a.wav", np.zeros((1, 800), np.int16), 8_000, codec="pcm_s16le", kind="s16", layout="mono"
    )
    with pytest.raises(MediaError, match="contains no image"):
        read_image(path)


def test_real_clips_are_read(clips):
    info = probe_video(clips / "bikes.mp4")
    assert (info.seconds, info.has_audio) == (10.0, False)
    info = probe_video(clips / "bigbuckbunny.mp4")
    assert (info.seconds, info.has_audio) == (5.28, True)
    every = read_frames(clips / "bikes.mp4", count=250, fps=25, size=56)
    some = read_frames(clips / "bikes.mp4", start=4.2, count=10, fps=5, size=56)
    assert torch.equal(some, every[105:155:5])
