"""Which clip an item is: its window, its frames at true times, its prompt, or why there is none."""

import shutil
import wave
from dataclasses import replace

import pytest
import torch

from audiox_core.config import AudioXConfig, SyncConfig, SynchformerConfig
from audiox_core.media.probe import MediaInfo
from audiox_core.training import media as media_module
from audiox_core.training.clips import InvalidItemError
from audiox_core.training.manifest import Item, Manifest
from audiox_core.training.media import ManifestSource
from audiox_core.training.tasks import Task

SAMPLES, DESCRIBED = 16 * 1_024, 2 * 8_000


@pytest.fixture
def source(media, small):
    """A source of some items; a task is given by its name."""

    def make(*items, config=small):
        return ManifestSource(Manifest(items), media, config)

    return make


def item(path="a.mp4", task=None, **facts):
    return Item(path=path, task=task and Task.parse(task), line=1, **facts)


def seconds_in(audio):
    """Which seconds of a `film` the samples are from."""
    return (audio[0].abs() * 80).round().int().sub(1)


def reason(source, index=0):
    with pytest.raises(InvalidItemError) as caught:
        source.clip(index)
    assert str(caught.value).isprintable()
    return caught.value.item.reason


def test_a_clip_is_a_window_of_sound_and_as_many_frames_as_the_model_reads(source, film):
    film("a.mp4", 5)
    clip = source(item(caption="rain", start=1.0)).clip(0)
    assert clip.audio.shape == (2, SAMPLES)
    assert clip.audio.dtype == torch.float32
    assert clip.frames.shape == (10, 3, 32, 32)
    greys = clip.frames.float().mean(dim=(1, 2, 3)) / 10
    assert greys.round().int().tolist() == list(range(5, 15))  # the frames from 1 s on
    assert (clip.caption, clip.sync, clip.prompt) == ("rain", None, None)


def test_after_its_end_a_clip_has_zeros_and_the_last_frame(source, film):
    film("a.mp4", 1)
    clip = source(item(caption="rain")).clip(0)
    assert not clip.audio[:, 9_000:].any()
    assert (clip.frames[5:] == clip.frames[4]).all()


def test_a_model_with_synchformer_gets_frames_at_both_rates(source, film, small):
    sync = SyncConfig(frames=50, encoder=SynchformerConfig(image=16))
    film("a.mp4")
    clip = source(
        item(caption="x"), config=replace(small, video=replace(small.video, sync=sync))
    ).clip(0)
    assert clip.sync.shape == (50, 3, 16, 16)


@pytest.mark.parametrize(
    ("task", "given"),
    [
        ("text_condition-audio", "c"),
        ("video_condition-audio", "f"),
        ("text+video_condition-music", "cf"),
        ("audio_condition-audio", "p"),
        ("uni_condition-audio", "cfp"),
        (None, "cf"),
    ],
)
def test_the_task_decides_which_inputs_a_clip_has(source, film, task, given):
    film("a.mp4")
    clip = source(item(task=task, caption="rain", start=0.0)).clip(0)
    found = {"c": clip.caption, "f": clip.frames is not None, "p": clip.prompt is not None}
    assert "".join(name for name, there in found.items() if there) == given


def test_the_music_prompt_is_the_music_before_the_target(source, film):
    film("a.wav", 6, picture=False)
    clip = source(item("a.wav", "audio_condition-music", start=3.0)).clip(0)
    assert clip.prompt.shape == (2, DESCRIBED)
    assert seconds_in(clip.prompt).unique().tolist() == [1, 2]
    assert seconds_in(clip.audio)[:8_000].unique().tolist() == [3]


def test_music_at_the_start_of_a_file_has_no_prompt(source, film):
    film("a.wav", 6, picture=False)
    clip = source(item("a.wav", "uni_condition-music", start=1.0, caption="jazz")).clip(0)
    assert clip.prompt is None


def test_a_sound_prompt_is_the_target_itself(source, film):
    film("a.wav", picture=False)
    clip = source(item("a.wav", "audio_condition-audio", start=0.5)).clip(0)
    assert torch.equal(clip.prompt, clip.audio[:, :DESCRIBED])


def test_a_long_file_yields_several_targets(source, film):
    film("a.wav", 33, picture=False)
    many = source(item("a.wav", caption="rain"))
    assert [start for _, start in many.targets] == [0, 10]  # no end under 15 s begins one
    assert seconds_in(many.clip(1).audio)[0] == 10


def test_music_tasks_skip_targets_without_preceding_music(source, film):
    film("a.wav", 33, picture=False)
    many = source(item("a.wav", "audio_condition-music"))
    assert [start for _, start in many.targets] == [10]


@pytest.mark.parametrize(
    ("file", "start", "second"),
    [("abc_000002.wav", 2.0, 0), ("abc_2.wav", 2.0, 0), ("sub/abc.wav", 2.0, 2)],
)
def test_an_id_finds_its_file_and_a_cut_clip_starts_at_zero(source, film, file, start, second):
    film(file, 5, picture=False)
    clip = source(Item(id="abc", start=start, caption="rain")).clip(0)
    assert seconds_in(clip.audio)[0] == second


def test_sound_and_picture_may_come_from_two_files(source, film):
    film("a.wav", picture=False)
    film("a.mp4", sound=False)
    clip = source(item("a.wav", "video_condition-audio", video_path="a.mp4")).clip(0)
    assert clip.frames is not None


def test_decomposed_accents_match_composed_ones(source, film):
    film("caf\u00e9.wav", picture=False)
    assert source(item("cafe\u0301.wav", caption="x")).clip(0).audio.any()


@pytest.mark.parametrize(
    ("task", "expected"),
    [("text+video_condition-audio", "no picture"), ("video_condition-music", "no picture")],
)
def test_a_file_without_a_picture_is_invalid_for_a_video_task(source, film, task, expected):
    film("a.wav", picture=False)
    assert reason(source(item("a.wav", task, caption="rain"))) == expected


def test_after_the_end_of_the_picture_there_is_none(source, film):
    film("a.wav", 9, picture=False)
    film("a.mp4", 2, sound=False)
    for start, task, there in ((1.0, None, True), (2.5, None, False)):
        items = item("a.wav", task, video_path="a.mp4", caption="rain", start=start)
        assert (source(items).clip(0).frames is not None) == there
    late = item("a.wav", "video_condition-audio", video_path="a.mp4", start=2.5)
    assert reason(source(late)) == "no picture"


def test_a_header_that_claims_a_sound_of_years_is_one_target(source, film, monkeypatch):
    film("a.wav", picture=False)
    monkeypatch.setattr(media_module, "probe_media", lambda _: MediaInfo(True, False, 1e12))
    assert len(source(item("a.wav", caption="rain"))) == 1


@pytest.mark.parametrize("task", ["text_condition-audio", "uni_condition-audio", None])
def test_a_file_without_a_picture_is_valid_for_other_tasks(source, film, task):
    film("a.wav", picture=False)
    assert source(item("a.wav", task, caption="rain")).clip(0).frames is None


def test_invalid_items_say_why(source, film, media):
    film("silent_film.mp4", sound=False)
    film("muted.wav", picture=False, loud=0)
    film("short.wav", 1, picture=False)
    (media / "text.mp4").write_text("no film")
    (media / "none.mp4").write_bytes(b"")
    with wave.open(str(media / "empty.wav"), "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))
    (media / "folder.mp4").mkdir()
    expected = {
        item("nowhere.mp4", caption="x"): "missing media",
        item("folder.mp4", caption="x"): "missing media",
        item("\0", caption="x"): "missing media",
        Item(id="unknown", start=3.0, caption="x"): "missing media",
        item("text.mp4", caption="x"): "unreadable media",
        item("none.mp4", caption="x"): "unreadable media",
        item("silent_film.mp4", caption="x"): "no sound",
        item("empty.wav", caption="x"): "empty sound",
        item("muted.wav", caption="x"): "silent",
        item("short.wav", caption="x", start=5.0): "unreadable sound",
        item("short.wav", caption=" ", task="text_condition-audio"): "no caption",
        item("short.wav"): "nothing given",
        item("short.wav", task="audio_condition-music"): "no prompt",
    }
    invalid = source(*expected)
    found = [reason(invalid, index) for index in range(len(invalid))]
    assert dict(zip(expected, found, strict=True)) == expected


def test_a_clip_is_the_same_every_time(source, film):
    film("a.mp4")
    first, second = (source(item(caption="x")).clip(0) for _ in range(2))
    assert torch.equal(first.audio, second.audio)
    assert torch.equal(first.frames, second.frames)


def test_a_real_video_becomes_a_clip_of_v1(clips, media):
    shutil.copy(clips / "bigbuckbunny.mp4", media / "bunny.mp4")
    items = (Item(path="bunny.mp4", caption="a rabbit"),)
    clip = ManifestSource(Manifest(items), media, AudioXConfig()).clip(0)
    assert clip.frames.shape == (50, 3, 224, 224)
    assert clip.audio.shape == (2, 236 * 2_048)
    assert clip.audio.abs().max() <= 1
