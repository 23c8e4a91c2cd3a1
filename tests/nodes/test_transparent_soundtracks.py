"""A soundtrack is transparent: ComfyUI saves the same picture afterwards, with our sound."""

import gc
import importlib
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

RATE = 44_100
REORDERED = {"bf": "3", "g": "25", "x264-params": "scenecut=0:b-adapt=0"}
# suffix, codec (None is H.264) and its options
FILES = {
    "mp4": ("a.mp4", None, {}),
    "mp4 reordered": ("a.mp4", None, REORDERED),
    "mov hevc": ("a.mov", "libx265", {}),
    "mov mpeg4": ("a.mov", "mpeg4", {}),
    "mov prores": ("a.mov", "prores_ks", {"pixels": "yuv422p10le"}),
    "mkv": ("a.mkv", None, {"bf": "0"}),
    "mkv reordered": ("a.mkv", None, REORDERED),
    "mkv ffv1": ("a.mkv", "ffv1", {}),
    "webm vp8": ("a.webm", "libvpx", {}),
    "webm vp9": ("a.webm", "libvpx-vp9", {}),
    "3gp": ("a.3gp", None, REORDERED),
    "ts": ("a.ts", None, REORDERED),
    "m2ts": ("a.m2ts", None, REORDERED),
    "avi": ("a.avi", "mpeg4", {}),
    "avi h264 reordered": ("a.avi", None, REORDERED),
    "avi mjpeg": ("a.avi", "mjpeg", {"pixels": "yuvj420p"}),
    "flv": ("a.flv", "flv", {}),
    "flv h264": ("a.flv", None, REORDERED),
    "wmv": ("a.wmv", "wmv2", {}),
    "mpg": ("a.mpg", "mpeg2video", {}),
    "gif": ("a.gif", "gif", {"pixels": "rgb8"}),
}
FRAMES, FPS = 75, 25


@pytest.fixture(scope="module")
def api(comfy) -> SimpleNamespace:
    latest = importlib.import_module("comfy_api.latest")
    return SimpleNamespace(inputs=latest.InputImpl, types=latest.Types)


@pytest.fixture
def source(clip):
    """One of `FILES`: frame `k` shows the number `k`."""

    def make(kind: str) -> Path:
        name, codec, options = FILES[kind]
        pixels = options.get("pixels", "yuv420p")
        options = {key: value for key, value in options.items() if key != "pixels"}
        return clip(name, FRAMES, FPS, codec=codec, pixels=pixels, options=options)

    return make


@pytest.fixture
def saved(api, tmp_path):
    """What Save Video writes of a VIDEO."""

    def save(video, name: str = "saved", container: str = "auto") -> SimpleNamespace:
        suffix = "mp4" if container == "auto" else container
        path = tmp_path / f"{name}.{suffix}"
        video.save_to(str(path), format=api.types.VideoContainer(container))
        return seen(path)

    return save


def seen(path: Path) -> SimpleNamespace:
    """What a player finds in a file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        context = stream.codec_context
        return SimpleNamespace(
            path=path,
            begins_with_keyframe=packets[0].is_keyframe,
            codec=context.name,
            size=(frames[0].width, frames[0].height),
            depth=context.format.components[0].bits,
            colour=colour_of(path),
            times=[float(frame.pts * frame.time_base) for frame in frames],
            pictures=torch.stack(
                [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in frames]
            ).movedim(-1, 1),
        )


def colour_of(path: Path) -> tuple:
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return context.color_trc, context.color_primaries, context.colorspace


def read_sound(path: Path) -> torch.Tensor:
    """The left channel of a file, `n` at 44,100 Hz; time 0 is that of the container."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        frames = [made for f in container.decode(audio=0) for made in resampler.resample(f)]
        frames += resampler.resample(None)
        before = max(0, round(float(frames[0].pts * frames[0].time_base) * RATE))
        samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return torch.from_numpy(np.concatenate([np.zeros(before, np.float32), samples]))


def tone(seconds: float) -> dict:
    time = torch.arange(round(seconds * RATE)) / RATE
    wave = 0.5 * torch.sin(2 * torch.pi * 440 * time)
    return {"waveform": wave.expand(1, 2, -1), "sample_rate": RATE}


def sounding(wave: torch.Tensor) -> tuple[float, float]:
    """The seconds between which a sound is loud."""
    loud = (wave.abs() > 0.2).nonzero()
    return loud[0].item() / RATE, loud[-1].item() / RATE


def soundtrack(node, video, seconds: float = 1.0, **settings):
    return node("AudioXSoundtrack", video=video, audio=tone(seconds), **settings)


def check_same(ours: SimpleNamespace, alone: SimpleNamespace, colours: tuple = ()) -> None:
    """The same frames, times, size and colours (or one of `colours`, those of the source)."""
    assert ours.begins_with_keyframe
    assert len(ours.times) == len(alone.times)
    first, other = ours.times[0], alone.times[0]
    assert [t - first for t in ours.times] == pytest.approx(
        [t - other for t in alone.times], abs=2e-3
    )
    assert (ours.size, ours.depth) == (alone.size, alone.depth)
    assert ours.colour in (alone.colour, *colours)
    assert (ours.pictures.float() - alone.pictures.float()).abs().mean() < 8


@pytest.mark.parametrize("kind", FILES)
def test_every_frame_of_a_file_is_there_after_a_soundtrack(api, node, saved, source, numbers, kind):
    path = source(kind)
    ours = saved(soundtrack(node, api.inputs.VideoFromFile(str(path)), start=1.0))
    assert numbers(ours.pictures) == list(range(FRAMES))
    assert ours.begins_with_keyframe
    steps = torch.tensor(ours.times).diff()
    assert steps.tolist() == pytest.approx([1 / FPS] * (FRAMES - 1), abs=1.1e-3)
    assert sounding(read_sound(ours.path)) == pytest.approx((1.0, 2.0), abs=0.03)
    assert len(read_sound(ours.path)) / RATE == pytest.approx(FRAMES / FPS, abs=0.05)


@pytest.mark.parametrize(
    "kind", ["mp4", "mov hevc", "mov mpeg4", "webm vp9", "3gp", "ts", "flv h264"]
)
def test_a_file_that_comfyui_saves_alone_is_copied_bit_for_bit(api, node, saved, source, kind):
    path = source(kind)
    alone = saved(api.inputs.VideoFromFile(str(path)), "alone")
    ours = saved(soundtrack(node, api.inputs.VideoFromFile(str(path))), "ours")
    check_same(ours, alone)
    assert torch.equal(ours.pictures, alone.pictures)


@pytest.mark.parametrize("kind", [*FILES, "vfr", "hlg"])
@pytest.mark.parametrize(("start", "seconds"), [(1.0, 1.4), (0.7, 0.0), (0.0, 1.05)])
def test_a_trimmed_video_is_the_same_as_without_a_soundtrack(
    api, node, saved, source, field, numbers, kind, start, seconds
):
    """Or better: of some streams ComfyUI alone loses frames, and ours has them all."""
    if not hasattr(api.inputs.VideoFromFile, "as_trimmed"):
        pytest.skip("this ComfyUI cannot trim videos")
    path = source(kind) if kind in FILES else field / f"{kind}.mp4"
    trim = {"start_time": start, "duration": seconds}
    alone = saved(api.inputs.VideoFromFile(str(path), **trim), "alone")
    ours = saved(soundtrack(node, api.inputs.VideoFromFile(str(path), **trim), 0.5), "ours")
    if len(ours.times) == len(alone.times):
        check_same(ours, alone, (colour_of(path),))
    else:
        begin, end = start, start + seconds if seconds else 1e9
        with av.open(str(path)) as file:
            times = [f.pts * f.time_base for f in file.decode(video=0)]
        expected = [k for k, time in enumerate(times) if begin <= time < end]
        assert numbers(ours.pictures) == expected
        assert ours.begins_with_keyframe
    sound = read_sound(ours.path)
    assert sounding(sound) == pytest.approx((0.0, 0.5), abs=0.03)
    length = ours.times[-1] - ours.times[0]
    assert length - 0.05 < len(sound) / RATE < length + 0.25


def test_a_trim_between_frames_that_depend_on_one_another_is_copied_where_that_is_exact(
    api, node, source
):
    """Counted by what the node shows."""
    if not hasattr(api.inputs.VideoFromFile, "as_trimmed"):
        pytest.skip("this ComfyUI cannot trim videos")
    path, shown = str(source("mp4 reordered")), []
    for frames in range(20, 28):
        trim = {"start_time": 1.0, "duration": frames / FPS}
        soundtrack(node, api.inputs.VideoFromFile(path, **trim), 0.2)
        shown.append(node.text)
    copied = [text for text in shown if text.startswith("the video stream is copied")]
    encoded = [text for text in shown if text.startswith("the video stream is re-encoded")]
    assert len(copied) + len(encoded) == 8
    assert copied
    assert encoded


@pytest.mark.parametrize(
    "kind", ["mp4 reordered", "mov hevc", "webm vp9", "3gp", "ts", "flv h264", "avi"]
)
def test_a_video_in_memory_is_the_same_as_its_file(api, node, saved, source, numbers, kind):
    path = source(kind)
    memory = saved(soundtrack(node, api.inputs.VideoFromFile(BytesIO(path.read_bytes()))), "memory")
    assert numbers(memory.pictures) == list(range(FRAMES))
    check_same(memory, saved(soundtrack(node, api.inputs.VideoFromFile(str(path))), "file"))


def test_frames_made_in_the_graph_keep_their_number_and_depth(api, node, saved):
    images = torch.linspace(0, 1, 30)[:, None, None, None].expand(-1, 48, 64, 3)
    parts = api.types.VideoComponents(images=images, frame_rate=Fraction(12))
    deep = {"bit_depth": 10} if hasattr(api.inputs.VideoFromComponents, "get_bit_depth") else {}
    alone = saved(api.inputs.VideoFromComponents(parts, **deep), "alone")
    ours = saved(soundtrack(node, api.inputs.VideoFromComponents(parts, **deep)), "ours")
    check_same(ours, alone)
    assert ours.depth == (10 if deep else 8)
    assert len(read_sound(ours.path)) / RATE == pytest.approx(2.5, abs=0.05)


@pytest.fixture
def cropped(api):
    """A VIDEO of a file as newer ComfyUI crops it: its stream is still the whole picture.

    It is saved with the times of the source, or (`by_components`) as its frames are.
    """

    def make(path: Path, x: int, y: int, width: int, height: int, *, by_components: bool = False):
        class VideoFromFile(api.inputs.VideoFromFile):
            def get_dimensions(self):
                return width, height

            def get_components(self):
                parts = super().get_components()
                parts.images = parts.images[:, y : y + height, x : x + width]
                return parts

            def save_to(self, target, **settings):
                if by_components:
                    parts = self.get_components()
                    settings.pop("crf", None)
                    api.inputs.VideoFromComponents(parts).save_to(target, **settings)
                    return
                with av.open(str(path)) as source, av.open(str(target), "w") as file:
                    given = source.streams.video[0]
                    stream = file.add_stream("libx264", rate=given.average_rate)
                    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                    stream.codec_context.time_base = given.time_base
                    stream.codec_context.max_b_frames = 0
                    for frame in source.decode(given):
                        pixels = frame.to_ndarray(format="rgb24")[y : y + height, x : x + width]
                        part = av.VideoFrame.from_ndarray(
                            np.ascontiguousarray(pixels), format="rgb24"
                        )
                        part.pts, part.time_base = frame.pts, given.time_base
                        file.mux(stream.encode(part))
                    file.mux(stream.encode(None))

        return VideoFromFile(str(path))

    return make


CROP = (32, 16, 64, 48)


@pytest.mark.parametrize("by_components", [False, True])
def test_a_cropped_video_stays_cropped(api, node, loaded, saved, source, cropped, by_components):
    path, how = source("mp4"), {"by_components": by_components}
    ours = saved(soundtrack(node, cropped(path, *CROP, **how)), "ours")
    check_same(ours, saved(cropped(path, *CROP, **how), "alone"))
    assert ours.size == (64, 48)
    encode = {"conditioners": loaded.conditioners}
    features, _ = node("AudioXEncodeVideo", video=cropped(path, *CROP, **how), **encode)
    parts = cropped(path, *CROP).get_components()
    images, _ = node("AudioXEncodeVideo", images=parts.images, fps=float(FPS), **encode)
    whole, _ = node("AudioXEncodeVideo", video=api.inputs.VideoFromFile(str(path)), **encode)
    far = (images.tokens - whole.tokens).abs().mean()
    assert (features.tokens - images.tokens).abs().mean() < 0.2 * far  # encoded once more


def test_a_cropped_video_of_variable_rate_keeps_its_pace(node, saved, field, cropped):
    path = field / "vfr.mp4"
    ours = saved(soundtrack(node, cropped(path, *CROP)), "ours")
    alone = saved(cropped(path, *CROP), "alone")
    check_same(ours, alone)
    assert len(read_sound(ours.path)) / RATE == pytest.approx(6.0, abs=0.05)


class VideoFromList:
    """A list of videos as newer ComfyUI has it: saved part by part, never one tensor."""

    def __init__(self, videos, complete_audio=None, codec="auto"):
        self.videos, self.complete_audio = videos, complete_audio

    def get_components(self):
        raise ValueError("videos of different frame rates")


def test_a_list_of_videos_is_read_part_by_part_and_keeps_its_parts(
    api, node, loaded, clip, tmp_path
):
    parts = [
        api.inputs.VideoFromFile(str(clip("a.mp4", frames=30, fps=10))),
        api.inputs.VideoFromFile(str(clip("b.mp4", frames=50, fps=25))),
    ]
    videos = VideoFromList(parts)
    features, seconds = node("AudioXEncodeVideo", video=videos, conditioners=loaded.conditioners)
    assert seconds == pytest.approx(5.0, abs=0.05)
    assert features.tokens.isfinite().all()
    made = soundtrack(node, videos, start=3.5)
    assert isinstance(made, VideoFromList)
    assert made.videos is parts
    assert made.complete_audio["waveform"].shape[-1] == 5 * RATE
    assert sounding(made.complete_audio["waveform"][0, 0]) == pytest.approx((3.5, 4.5), abs=0.01)


class TestSoundsAtASecond:
    """`start` of AudioX Soundtrack."""

    def test_the_video_s_own_sound_goes_on_around_the_new_one(self, api, node, clip, saved):
        path = clip("a.mp4", FRAMES, FPS, sound=tone(3.0)["waveform"][0] * 0.5)
        silent = {"waveform": torch.zeros(1, 2, RATE), "sample_rate": RATE}
        made = node(
            "AudioXSoundtrack",
            video=api.inputs.VideoFromFile(str(path)),
            audio=silent,
            start=1.0,
            mix_original=True,
        )
        heard = read_sound(saved(made).path)
        assert len(heard) / RATE == pytest.approx(3.0, abs=0.05)
        for begin in (0.2, 1.4, 2.6):
            level = heard[int(begin * RATE) : int((begin + 0.2) * RATE)].abs().max()
            assert level == pytest.approx(0.25, abs=0.05)

    @pytest.mark.parametrize("start", [3.0, 12.5, float("nan"), -1.0])
    def test_a_start_outside_of_the_video_is_refused(self, api, node, source, start):
        video = api.inputs.VideoFromFile(str(source("mp4")))
        with pytest.raises(Exception, match=r"the video lasts 3\.00 s"):
            soundtrack(node, video, start=start)


def test_temporary_copies_are_removed_with_their_videos(api, node, comfy, source):
    folder = Path(comfy.folder_paths.get_temp_directory())
    gc.collect()
    before = set(folder.iterdir())
    path = source("mp4 reordered")
    file = api.inputs.VideoFromFile(str(path))
    memory = api.inputs.VideoFromFile(BytesIO(path.read_bytes()))
    videos = [soundtrack(node, video) for _ in range(5) for video in (file, memory)]
    assert len(set(folder.iterdir()) - before) == 10 + 1  # one of the bytes, however often used
    del videos
    gc.collect()
    assert len(set(folder.iterdir()) - before) == 1
    del memory
    gc.collect()
    assert set(folder.iterdir()) == before


def test_temporary_copies_do_not_wait_for_the_garbage_collector(api, node, comfy, source):
    folder = Path(comfy.folder_paths.get_temp_directory())
    gc.collect()
    before = set(folder.iterdir())
    gc.disable()
    try:
        for kind in ("mp4", "wmv"):  # copied, and encoded
            made = soundtrack(node, api.inputs.VideoFromFile(str(source(kind))))
            assert len(set(folder.iterdir()) - before) == 1
            del made
            assert set(folder.iterdir()) == before
    finally:
        gc.enable()


def test_a_full_disk_is_one_line_and_leaves_nothing(api, node, comfy, source, monkeypatch):
    folder = Path(comfy.folder_paths.get_temp_directory())
    before = set(folder.iterdir())
    memory = api.inputs.VideoFromFile(BytesIO(source("mp4").read_bytes()))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Exception, match=r"cannot be stored: No space left on device\. Free some"):
        soundtrack(node, memory)
    gc.collect()
    assert set(folder.iterdir()) == before


def test_the_own_sound_may_end_before_the_trim(api, node, clip, saved):
    if not hasattr(api.inputs.VideoFromFile, "as_trimmed"):
        pytest.skip("this ComfyUI cannot trim videos")
    path = clip("a.mp4", FRAMES, FPS, sound=tone(1.0)["waveform"][0])
    video = api.inputs.VideoFromFile(str(path), start_time=2.0, duration=1.0)
    made = saved(soundtrack(node, video, 0.5, mix_original=True))
    assert sounding(read_sound(made.path)) == pytest.approx((0.0, 0.5), abs=0.03)


def test_joined_recordings_are_refused_and_lose_nothing(api, node, source):
    path = source("ts")
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(Exception, match="jump back"):
        soundtrack(node, api.inputs.VideoFromFile(str(path)))


@pytest.mark.parametrize("rate", [4_000, 44_101, 192_000])
def test_sounds_of_rates_that_aac_lacks_are_saved_with_made_frames(api, node, saved, rate):
    images = torch.rand(24, 48, 64, 3)
    parts = api.types.VideoComponents(images=images, frame_rate=Fraction(12))
    audio = {"waveform": torch.full((1, 2, rate), 0.2), "sample_rate": rate}
    video = api.inputs.VideoFromComponents(parts)
    made = saved(node("AudioXSoundtrack", video=video, audio=audio))
    assert len(read_sound(made.path)) / RATE == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("rate", [0, 999_999_999, float("nan")])
def test_an_absurd_rate_of_audio_is_refused(api, node, source, rate):
    audio = {"waveform": torch.zeros(1, 2, 100), "sample_rate": rate}
    video = api.inputs.VideoFromFile(str(source("mp4")))
    with pytest.raises(Exception, match="The sample rate of the audio is"):
        node("AudioXSoundtrack", video=video, audio=audio)


def test_a_trimmed_soundtrack_keeps_its_file_when_the_whole_is_let_go(api, node, saved, source):
    if not hasattr(api.inputs.VideoFromFile, "as_trimmed"):
        pytest.skip("this ComfyUI cannot trim videos")
    trimmed = soundtrack(node, api.inputs.VideoFromFile(str(source("mp4")))).as_trimmed(1.0, 1.0)
    gc.collect()
    assert len(saved(trimmed).times) == 25


@pytest.mark.parametrize("channels", [3, 4, 5, 6, 7, 8])
def test_no_channel_of_a_prompt_or_soundtrack_is_lost(api, pack, channels):
    media = importlib.import_module(f"{pack.__name__}.nodes.bridge.media")
    audio = {"waveform": torch.eye(channels)[None], "sample_rate": RATE}
    mixed = media.waveform_of(audio, RATE)
    bass = {6: 3, 7: 3, 8: 3}.get(channels)  # FFmpeg leaves it out of stereo
    for channel in range(channels):
        assert (mixed[:, channel].abs().sum() > 0.4) == (channel != bass)


def test_surround_in_the_graph_is_mixed_as_from_its_file(api, node, pack, field):
    media = importlib.import_module(f"{pack.__name__}.nodes.bridge.media")
    reader = importlib.import_module(f"{pack.__name__}.audiox_core.media.audio")
    audio = api.inputs.VideoFromFile(str(field / "centre51.mp4")).get_components().audio
    if audio["waveform"].shape[1] != 6:
        pytest.skip("this ComfyUI reads surround as other than six channels")
    mixed = media.waveform_of(audio, int(audio["sample_rate"]))
    expected = reader.read_audio(field / "centre51.mp4", sample_rate=int(audio["sample_rate"]))
    centre = audio["waveform"][0, 2].abs().max().item()
    assert mixed.abs().max().item() == pytest.approx(centre * 0.5**0.5, rel=0.01)
    assert mixed.abs().max().item() == pytest.approx(expected.abs().max().item(), rel=0.01)
