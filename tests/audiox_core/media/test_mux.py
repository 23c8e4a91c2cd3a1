"""A new soundtrack on the same picture: nothing of the picture changes, and both stay in time."""

import hashlib
import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.stream import Disposition

from audiox_core.errors import MediaError, SettingsError
from audiox_core.lab.bench.memory import peak_bytes
from audiox_core.media import mux
from audiox_core.media.audio import read_audio
from audiox_core.media.formats import VIDEO_SUFFIXES
from audiox_core.media.mux import MuxOptions, check_mux, mux_soundtrack
from audiox_core.media.pixels import display_matrix
from audiox_core.media.video import FrameGrid, probe_video, read_grids

RATE = 44_100


def read_frames(path, *, count=50, fps=5.0, size=224, **options):
    return read_grids(path, [FrameGrid(count, fps, size)], **options)[0]


def picture_packets(path: Path, index: int = 0) -> list[str]:
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.video[index])
        return [hashlib.sha256(bytes(packet)).hexdigest() for packet in packets if packet.size]


def streams(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


def tags_of(name: str, container: av.container.Container) -> list[str]:
    """A tag of each stream that people see."""
    seen = (stream for stream in container.streams if stream.type in ("video", "subtitle"))
    return sorted(stream.metadata.get(name, "") for stream in seen)


@pytest.fixture
def rich(tmp_path, clip, noise):
    """A clip with all that can go along: subtitles, chapters, tags, a cover, a second picture."""

    def make(name: str) -> Path:
        plain = clip(f"plain{Path(name).suffix}", frames=100, sound=noise(4), options={"g": "25"})
        path = tmp_path / name
        mp4 = path.suffix in (".mp4", ".mov")
        with (
            av.open(str(plain)) as source,
            av.open(
                str(path), "w", options={"movflags": "use_metadata_tags"} if mp4 else {}
            ) as target,
        ):
            target.metadata.update({"title": "A clip", "workflow": '{"nodes": []}'})
            copies = [target.add_stream_from_template(stream) for stream in source.streams]
            copies[0].metadata["language"] = "fre"
            copies[1].metadata["language"] = "deu"
            words = target.add_mux_stream("mov_text" if mp4 else "subrip")
            words.time_base = Fraction(1, 1000)
            words.metadata["language"] = "spa"
            second = target.add_stream_from_template(source.streams.video[0])
            second.disposition = Disposition(0)
            target.set_chapters(
                [
                    {"id": k, "start": 2_000 * k, "end": 2_000 * (k + 1),
                     "time_base": Fraction(1, 1000), "metadata": {"title": f"Part {k}"}}
                    for k in range(2)
                ]
            )  # fmt: skip
            for packet in source.demux():
                if packet.size:
                    if packet.stream.index == 0:
                        twin = av.Packet(bytes(packet))
                        twin.pts, twin.dts, twin.time_base = (
                            packet.pts,
                            packet.dts,
                            packet.time_base,
                        )
                        twin.duration, twin.is_keyframe = packet.duration, packet.is_keyframe
                        twin.stream = second
                        target.mux(twin)
                    packet.stream = copies[packet.stream.index]
                    target.mux(packet)
            for begin, text in ((500, b"one"), (1_800, b"two"), (3_000, b"three")):
                packet = av.Packet(len(text).to_bytes(2, "big") + text if mp4 else text)
                packet.pts = packet.dts = begin
                packet.duration, packet.time_base, packet.stream = 600, Fraction(1, 1000), words
                target.mux(packet)
        return path

    return make


@pytest.mark.parametrize(
    ("source", "output"),
    [
        *itertools.product(["a.mp4", "a.mov", "a.mkv"], ["b.mp4", "b.mov", "b.m4v", "b.mkv"]),
        *itertools.product(["a.webm"], ["b.webm", "b.mkv"]),
        ("a.flv", "b.mp4"),
    ],
)
@pytest.mark.parametrize("reordered", ["0", "3"])
def test_the_picture_is_copied_bit_for_bit_and_the_sound_lies_on_it(
    clip, noise, delay, tmp_path, source, output, reordered
):
    options = {"bf": reordered, "preset": "medium", "b_strategy": "0"}
    video = clip(source, frames=75, options=options)
    output, wave = tmp_path / output, noise(3)
    mux_soundtrack(video, wave, RATE, output)
    assert picture_packets(output) == picture_packets(video)
    assert probe_video(output).seconds == pytest.approx(3.0, abs=1e-3)
    assert torch.equal(read_frames(output, size=64), read_frames(video, size=64))
    heard = read_audio(output)
    inexact = output.suffix in (".mkv", ".webm")
    assert delay(heard[0], wave[0]) == pytest.approx(0, abs=44 if inexact else 0)
    assert heard.shape[1] == pytest.approx(3 * RATE, abs=RATE // 25 if inexact else 0)
    shared = min(heard.shape[1], wave.shape[1])
    error = (heard[:, :shared] - wave[:, :shared]).abs().mean(dim=0)
    if not inexact:
        assert error[:1_000].mean() < wave.abs().mean() / 2  # there from the first sample on


def test_the_sound_ends_with_the_waveform(clip, noise, tmp_path):
    mux_soundtrack(clip(frames=75), noise(1.5), RATE, tmp_path / "b.mp4")
    assert read_audio(tmp_path / "b.mp4").shape[1] == round(1.5 * RATE)


def test_a_longer_waveform_is_cut_to_the_picture(clip, noise, tmp_path):
    mux_soundtrack(clip(frames=50), noise(5), RATE, tmp_path / "b.mp4")
    assert read_audio(tmp_path / "b.mp4").shape[1] == 2 * RATE
    assert probe_video(tmp_path / "b.mp4").seconds == 2


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000, 96_000, 44_056])
@pytest.mark.parametrize("output", ["b.mp4", "b.webm"])
def test_any_sample_rate_is_taken(clip, noise, delay, tmp_path, rate, output):
    video = clip(f"a{Path(output).suffix}", frames=50)
    wave = noise(2, 8_000).repeat_interleave(6, dim=1)  # low sounds, at 48 kHz
    sent = wave[:, torch.arange(2 * rate) * 48_000 // rate]
    mux_soundtrack(video, sent, rate, tmp_path / output)
    heard = read_audio(tmp_path / output, sample_rate=48_000)
    assert delay(heard[0], wave[0]) == pytest.approx(0, abs=48)


def test_a_picture_that_begins_late_keeps_its_sound(clip, noise, delay, tmp_path):
    wave = noise(2)
    video = clip("a.mkv", frames=50, times=[300 + 4 * k for k in range(50)], tick=Fraction(1, 100))
    mux_soundtrack(video, wave, RATE, tmp_path / "b.mp4")
    assert delay(read_audio(tmp_path / "b.mp4")[0], wave[0]) == 0
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert [next(container.decode(stream)).pts for stream in container.streams] == [0, 0]


@pytest.mark.parametrize("source", ["a.mp4", "a.mkv", "a.mov"])
@pytest.mark.parametrize(("start", "seconds"), [(1.0, 1.5), (1.3, 0.7), (2.21, None), (0.0, 1.0)])
def test_a_piece_in_mp4_begins_on_time_with_its_sound(
    clip, noise, delay, numbers, tmp_path, source, start, seconds
):
    video = clip(source, frames=100, options={"g": "40", "bf": "2", "preset": "medium"})
    output, wave = tmp_path / "b.mp4", noise(4)
    mux_soundtrack(video, wave, RATE, output, start=start, seconds=seconds)
    wait = Fraction(str(start)) % Fraction(1, 25)  # the frame on screen at the start is the first
    length = seconds or 4 - start
    beyond = probe_video(output).seconds - length - wait
    assert -1e-3 < beyond <= 3 / 25 + 1e-3  # the last frames may need one that is shown after them
    first = read_frames(output, count=1, size=96)
    assert numbers(first) == [int(Fraction(str(start)) * 25)]
    with av.open(str(output)) as container:
        assert next(container.decode(video=0)).pts == 0
    heard = read_audio(output)
    assert delay(heard[0], wave[0, : round(length * RATE)]) == pytest.approx(wait * RATE, abs=1)
    assert heard.shape[1] == pytest.approx((length + wait) * RATE, abs=2)


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "h264"), ("a.webm", "vp8")])
def test_a_piece_in_matroska_begins_at_the_keyframe_and_stays_in_sync(
    clip, noise, delay, numbers, tmp_path, caplog, name, codec
):
    video = clip(name, frames=100, options={"g": "25", "sc_threshold": "0"})
    with av.open(str(video)) as container:
        keyframes = [
            p.pts * p.time_base for p in container.demux(video=0) if p.is_keyframe and p.size
        ]
    early = Fraction(13, 10) - max(time for time in keyframes if time <= Fraction(13, 10))
    output, wave = tmp_path / f"b{video.suffix}", noise(4)
    mux_soundtrack(video, wave, RATE, output, start=1.3, seconds=1)
    heard = read_audio(output)
    assert delay(heard[0], wave[0, :RATE]) == pytest.approx(early * RATE, abs=44)
    shown = numbers(read_frames(output, start=float(early), count=3, size=96))
    assert shown == numbers(read_frames(video, start=1.3, count=3, size=96))
    assert "early" in caplog.text


def test_a_piece_holds_the_packets_of_its_frames_only(clip, noise, tmp_path):
    video = clip(frames=100, options={"g": "25"})
    mux_soundtrack(video, noise(1), RATE, tmp_path / "b.mp4", start=2.0, seconds=1.0)
    assert picture_packets(tmp_path / "b.mp4") == picture_packets(video)[50:75]


def test_a_copy_of_a_piece_is_the_piece(clip, noise, delay, numbers, tmp_path):
    video, wave = clip(frames=100, options={"g": "100"}), noise(2)
    mux_soundtrack(video, noise(2, seed=1), RATE, tmp_path / "b.mp4", start=1.0, seconds=2.0)
    mux_soundtrack(tmp_path / "b.mp4", wave, RATE, tmp_path / "c.mp4")
    assert numbers(read_frames(tmp_path / "c.mp4", count=3, size=96)) == [25, 30, 35]
    assert picture_packets(tmp_path / "c.mp4") == picture_packets(tmp_path / "b.mp4")
    assert delay(read_audio(tmp_path / "c.mp4")[0], wave[0]) == 0


def test_the_own_sound_is_replaced(clip, noise, tmp_path):
    mux_soundtrack(clip(frames=50, sound=noise(2, seed=1)), noise(2), RATE, tmp_path / "b.mp4")
    assert streams(tmp_path / "b.mp4") == ["video", "audio"]


@pytest.mark.parametrize("output", ["b.mp4", "b.mkv"])
def test_the_own_sound_is_kept_on_demand_and_does_not_play(clip, noise, delay, tmp_path, output):
    own, wave = noise(2, seed=1), noise(2)
    video, output = clip(frames=50, sound=own), tmp_path / output
    mux_soundtrack(video, wave, RATE, output, options=MuxOptions(keep_audio=True))
    assert delay(read_audio(output)[0], wave[0]) == pytest.approx(0, abs=44)
    with av.open(str(output)) as container:
        ours, theirs = container.streams.audio
        assert ours.disposition & Disposition.default
        assert not theirs.disposition & Disposition.default
        frames = [frame.to_ndarray() for frame in container.decode(theirs)]
    kept = torch.from_numpy(np.concatenate(frames, axis=1))
    assert delay(kept[0], own[0]) == pytest.approx(0, abs=1_024 if output.suffix == ".mkv" else 0)


def test_own_sound_that_the_container_cannot_hold_is_left_out_with_a_warning(
    clip, noise, tmp_path, caplog
):
    path, video = tmp_path / "a.mkv", clip("a.webm", frames=50)
    mux_soundtrack(video, noise(2), RATE, path)  # VP8 with AAC
    mux_soundtrack(path, noise(2), RATE, tmp_path / "b.webm", options=MuxOptions(keep_audio=True))
    assert streams(tmp_path / "b.webm") == ["video", "audio"]
    assert "aac" in caplog.text


@pytest.mark.parametrize("name", ["rich.mp4", "rich.mov", "rich.mkv"])
def test_subtitles_chapters_and_tags_are_copied(rich, noise, tmp_path, name):
    video = rich(name)
    output = tmp_path / f"b{video.suffix}"
    mux_soundtrack(video, noise(4), RATE, output)
    with av.open(str(video)) as source, av.open(str(output)) as target:
        tags = {key.lower(): value for key, value in target.metadata.items()}
        assert tags["title"] == "A clip"
        assert tags["workflow"] == '{"nodes": []}'
        assert [chapter["metadata"]["title"] for chapter in target.chapters()] == [
            "Part 0",
            "Part 1",
        ]
        assert [c["start"] * c["time_base"] for c in target.chapters()] == [0, 2]
        assert tags_of("language", target) == tags_of("language", source)
        assert "spa" in tags_of("language", target)
        assert len(target.streams.video) == 2
        (before,), (after,) = source.streams.subtitles, target.streams.subtitles
        assert after.metadata["language"] == "spa"
        said = [
            [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size > 2]
            for container, stream in ((source, before), (target, after))
        ]
        assert said[0] == said[1]
        assert len(said[0]) == 3
    assert picture_packets(output, 1) == picture_packets(video, 1)


@pytest.mark.parametrize("name", ["rich.mp4", "rich.mkv"])
def test_subtitles_and_chapters_of_a_piece_move_with_it(rich, noise, tmp_path, name):
    video = rich(name)
    output = tmp_path / f"b{video.suffix}"
    mux_soundtrack(video, noise(2), RATE, output, start=2.0, seconds=1.5)
    with av.open(str(output)) as container:
        subtitles = [p for p in container.demux(subtitles=0) if p.size > 2]
        assert float(subtitles[-1].pts * subtitles[-1].time_base) == pytest.approx(1, abs=0.02)
        if name == "rich.mp4":  # Matroska's index does not lead to what began before the keyframe
            assert subtitles[0].pts == 0
            shown = subtitles[0].duration * subtitles[0].time_base
            assert float(shown) == pytest.approx(0.4, abs=0.02)
        chapters = container.chapters()
        assert [chapter["metadata"]["title"] for chapter in chapters] == ["Part 1"]
        assert [c["end"] * c["time_base"] for c in chapters] == [Fraction(3, 2)]


def test_subtitles_that_the_container_cannot_hold_are_left_out_with_a_warning(
    rich, noise, tmp_path, caplog
):
    mux_soundtrack(rich("rich.mkv"), noise(4), RATE, tmp_path / "b.mp4")
    assert "subtitle" in caplog.text
    assert "subrip" in caplog.text
    assert "subtitle" not in streams(tmp_path / "b.mp4")


@pytest.mark.parametrize("output", ["b.mp4", "b.mkv"])
def test_a_cover_image_is_copied(clip, noise, tmp_path, output):
    with_cover, output = tmp_path / "cover.mp4", tmp_path / output
    picture = clip("cover.png", frames=1, codec="png", pixels="rgb24").read_bytes()
    with av.open(str(clip(frames=50))) as source, av.open(str(with_cover), "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        cover = target.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 128, 96, "rgb24"
        cover.disposition = Disposition.attached_pic
        packet = av.Packet(picture)
        packet.stream, packet.pts, packet.dts = cover, 0, 0
        target.start_encoding()
        target.mux(packet)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = copy
                target.mux(packet)
    mux_soundtrack(with_cover, noise(2), RATE, output, start=0.5)
    with av.open(str(output)) as container:
        covers = [s for s in container.streams.video if s.disposition & Disposition.attached_pic]
        assert len(covers) == 1
        assert [bytes(p) for p in container.demux(covers[0]) if p.size] == [picture]


@pytest.mark.parametrize("turned", [90, 180, 270])
@pytest.mark.parametrize("output", ["b.mp4", "b.mov", "b.mkv"])
def test_a_turned_clip_stays_turned(clip, noise, numbers, tmp_path, turned, output):
    video = clip(frames=12, turned=turned)
    mux_soundtrack(video, noise(1), RATE, tmp_path / output)
    assert numbers(read_frames(tmp_path / output, count=2, size=96)) == [0, 5]
    with av.open(str(video)) as before, av.open(str(tmp_path / output)) as after:
        matrices = [display_matrix(next(c.decode(video=0))) for c in (before, after)]
    assert matrices[0] == matrices[1]


@pytest.mark.parametrize("output", ["b.mp4", "b.mkv"])
def test_wide_pixels_stay_wide(clip, noise, tmp_path, output):
    video = clip(frames=12, options={"x264-params": "sar=4/3"})
    mux_soundtrack(video, noise(1), RATE, tmp_path / output)
    with av.open(str(tmp_path / output)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_hevc_gets_the_tag_that_plays_everywhere(clip, noise, tmp_path):
    video = clip("a.mkv", frames=12, codec="libx265")
    mux_soundtrack(video, noise(1), RATE, tmp_path / "b.mp4")
    assert picture_packets(tmp_path / "b.mp4") == picture_packets(video)
    assert b"hvc1" in (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize(
    ("source", "output", "says"),
    [
        ("a.webm", "b.mp4", r"vp8 .* \.webm or \.mkv"),
        ("a.mp4", "b.webm", r"h264 .* \.mp4 or \.mkv"),
        ("vp9.webm", "b.mov", r"vp9 .* \.mp4 or \.webm"),
    ],
)
def test_a_codec_that_the_container_cannot_store_is_refused_before_the_work(
    clip, noise, tmp_path, monkeypatch, source, output, says
):
    video = clip(source, frames=12, codec="libvpx-vp9" if "vp9" in source else None)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(mux, "_sound", None)  # nothing is prepared, let alone encoded
    with pytest.raises(MediaError, match=says):
        mux_soundtrack(video, noise(1), RATE, tmp_path / output)
    with pytest.raises(MediaError, match=says):
        check_mux(video, tmp_path / output)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source, "cwd"])
    assert not list(Path.cwd().iterdir())


def test_checking_an_output_leaves_no_file(clip, tmp_path, monkeypatch):
    video = clip(frames=12)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    for suffix in (".mp4", ".mov", ".mkv"):
        check_mux(video, tmp_path / f"b{suffix}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "cwd"]
    assert not list(Path.cwd().iterdir())


def test_what_cannot_be_copied_is_refused_before_anything_is_computed(field, tmp_path):
    with pytest.raises(MediaError, match=r"no timestamps .* Convert the video to MP4 or MKV first"):
        check_mux(field / "raw.h264", tmp_path / "b.mp4")
    assert not list(tmp_path.iterdir())


def test_joined_recordings_are_refused_before_anything_is_computed(clip, tmp_path):
    joined = clip("a.ts", frames=50)
    joined.write_bytes(joined.read_bytes() * 2)
    with pytest.raises(MediaError, match="jump back"):
        check_mux(joined, tmp_path / "b.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_progress_follows_the_time_that_is_written(clip, noise, tmp_path, suffix):
    seen = []
    options = MuxOptions(on_progress=seen.append)
    mux_soundtrack(clip(frames=50), noise(2), RATE, tmp_path / f"b{suffix}", options=options)
    assert len(seen) == 50  # a packet of the picture each
    assert seen == sorted(seen)
    assert seen[24] == pytest.approx(0.5, abs=0.05)
    assert seen[-1] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("frames", "exact"), [(75, True), (26, False)])
def test_a_piece_that_would_end_late_can_be_refused(clip, noise, tmp_path, frames, exact):
    reordered = {"bf": "3", "g": "50", "x264-params": "scenecut=0:b-adapt=0"}
    video, output = clip(frames=100, options=reordered), tmp_path / "b.mp4"
    arguments = {"seconds": Fraction(frames, 25), "options": MuxOptions(exact=True)}
    if exact:
        check_mux(video, output, **arguments)
        mux_soundtrack(video, noise(4), RATE, output, **arguments)
        with av.open(str(output)) as copy:
            assert len(list(copy.decode(video=0))) == frames
    else:
        for refuse in (check_mux, lambda *a, **k: mux_soundtrack(a[0], noise(4), RATE, a[1], **k)):
            with pytest.raises(MediaError, match="cannot be cut there"):
                refuse(video, output, **arguments)
        assert not output.exists()


def test_an_error_of_the_copy_is_not_blamed_on_the_video(clip, noise, tmp_path, monkeypatch):
    def refuse(self, packet):
        raise av.error.InvalidDataError(1, "refused", self.target.name)

    monkeypatch.setattr(mux._Copy, "_mux", refuse)
    with pytest.raises(MediaError, match=r"b\.mp4 cannot store"):
        mux_soundtrack(clip(frames=12), noise(1), RATE, tmp_path / "b.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize(("source", "output"), [("a.mp4", "b.mkv"), ("a.webm", "b.webm")])
@pytest.mark.parametrize("fps", [24, 60])
def test_a_copy_has_its_duration_in_the_header(clip, noise, tmp_path, source, output, fps):
    mux_soundtrack(clip(source, frames=3 * fps, fps=fps), noise(4), RATE, tmp_path / output)
    with av.open(str(tmp_path / output)) as container:
        assert container.duration / av.time_base == pytest.approx(3, abs=1.5e-3)


def test_the_input_video_is_refused_as_the_output(clip, noise, tmp_path):
    video = clip()
    before = video.read_bytes()
    (tmp_path / "link.mp4").symlink_to(video)
    for output in (video, tmp_path / "." / "clip.mp4", tmp_path / "link.mp4"):
        with pytest.raises(SettingsError, match="input video"):
            mux_soundtrack(video, noise(1), RATE, output)
    assert video.read_bytes() == before


@pytest.mark.parametrize("name", ["b.avi", "b", "b.wav"])
def test_an_unsupported_suffix_is_an_error_that_lists_the_supported_ones(
    clip, noise, tmp_path, name
):
    with pytest.raises(SettingsError) as caught:
        mux_soundtrack(clip(), noise(1), RATE, tmp_path / name)
    assert all(suffix in str(caught.value) for suffix in VIDEO_SUFFIXES)


@pytest.mark.parametrize(
    "wave",
    [torch.zeros(1, 100), torch.zeros(2, 0), torch.full((2, 100), float("nan")), torch.zeros(100)],
    ids=["mono", "none", "nan", "flat"],
)
def test_a_waveform_that_is_not_stereo_is_refused(clip, tmp_path, wave):
    with pytest.raises(SettingsError, match="waveform"):
        mux_soundtrack(clip(), wave, RATE, tmp_path / "b.mp4")


@pytest.mark.parametrize("wrong", [{"start": -1.0}, {"seconds": 0.0}, {"start": 1.2}], ids=str)
def test_a_piece_outside_of_the_video_is_refused(clip, noise, tmp_path, wrong):
    with pytest.raises(SettingsError):
        mux_soundtrack(clip(frames=30), noise(1), RATE, tmp_path / "b.mp4", **wrong)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_copy_leaves_nothing_behind(
    clip, noise, tmp_path, monkeypatch, open_files, error
):
    video, output = clip(frames=50), tmp_path / "b.mp4"
    output.write_bytes(b"older")
    overlaps = mux._Copy._move

    def stop(self, packet, shift):
        if packet.pts * packet.time_base > 1:
            raise error
        overlaps(self, packet, shift)

    monkeypatch.setattr(mux._Copy, "_move", stop)
    before = open_files()
    with pytest.raises(error):
        mux_soundtrack(video, noise(2), RATE, output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.mp4", "clip.mp4"]
    assert output.read_bytes() == b"older"
    assert open_files() == before


def test_a_missing_output_folder_is_an_error(clip, noise, tmp_path):
    with pytest.raises(MediaError, match="does not exist"):
        mux_soundtrack(clip(), noise(1), RATE, tmp_path / "nowhere" / "b.mp4")


def test_an_older_output_is_replaced_and_all_files_are_closed(clip, noise, tmp_path, open_files):
    video, output = clip(frames=25), tmp_path / "b.mp4"
    output.write_bytes(b"older")
    before = open_files()
    mux_soundtrack(video, noise(1), RATE, output)
    assert probe_video(output).seconds == 1
    assert open_files() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.mp4", "clip.mp4"]


def test_a_video_stream_without_timestamps_is_refused(clip, noise, tmp_path):
    with pytest.raises(MediaError, match="no timestamps"):
        mux_soundtrack(clip("a.h264", frames=30), noise(1), RATE, tmp_path / "b.mp4")


@pytest.mark.parametrize("output", ["b.mp4", "b.mov", "b.mkv"])
def test_real_clips_keep_their_picture(clips, noise, delay, tmp_path, output):
    wave = noise(6)
    mux_soundtrack(
        clips / "bigbuckbunny.mp4",
        wave,
        RATE,
        tmp_path / output,
        options=MuxOptions(keep_audio=True),
    )
    assert picture_packets(tmp_path / output) == picture_packets(clips / "bigbuckbunny.mp4")
    heard = read_audio(tmp_path / output)
    assert delay(heard[0], wave[0, : round(5.28 * RATE)]) == pytest.approx(0, abs=44)
    assert heard.shape[1] == pytest.approx(5.28 * RATE, abs=RATE // 25)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_sound_is_muxed_without_a_copy_of_it(clip, tmp_path, suffix):
    wave = torch.zeros(2, 60 * RATE)
    video = clip(f"a{suffix}", frames=100)
    held = peak_bytes(lambda: mux_soundtrack(video, wave, RATE, tmp_path / f"b{suffix}"))
    assert held < wave.nbytes / 5
