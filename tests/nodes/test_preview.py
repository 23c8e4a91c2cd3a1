"""AudioX Takes and AudioX Preview: what they pass on, show and say."""

import importlib
import json
from pathlib import Path

import av
import pytest
import torch

from audiox_core.media.audio import read_audio
from audiox_core.variants import VARIANTS

RATE = 44_100


def clicks(*times: float, seconds: float = 3.0) -> torch.Tensor:
    """A quiet sound with loud clicks."""
    draw = torch.Generator().manual_seed(0)
    sound = 1e-4 * torch.randn(2, round(seconds * RATE), generator=draw)
    for time in times:
        begin = round(time * RATE)
        decay = torch.exp(-torch.arange(4_000) / 800)
        sound[:, begin : begin + 4_000] += 0.5 * decay * torch.randn(4_000, generator=draw)
    return sound


def batch(*sounds: torch.Tensor) -> dict:
    return {"waveform": torch.stack(sounds), "sample_rate": RATE}


@pytest.fixture
def shown(comfy, node):
    """Run one of the two nodes: its outputs, and what it shows."""

    def run(name: str, number: str = "1", **inputs):
        kind = node.classes[name]
        values = {"unique_id": number, "prompt": {}, "extra_pnginfo": {"workflow": {"nodes": [7]}}}
        hidden = type("hidden", (), values)
        with torch.inference_mode():
            result = type(name, (kind,), {"hidden": hidden}).execute(**inputs)
        return result.result, result.ui

    return run


@pytest.fixture(scope="module")
def video(comfy):
    """Three seconds: a cut at 1 s, another at 2 s."""
    from comfy_api.latest import InputImpl, Types

    images = torch.zeros(75, 32, 32, 3)
    images[25:50] = 0.8
    parts = Types.VideoComponents(images=images, audio=None, frame_rate=25)
    return InputImpl.VideoFromComponents(parts)


def test_the_chosen_take_goes_on_unchanged_with_its_index(shown):
    audio = batch(clicks(0.5), clicks(1.0), clicks(1.5))
    (chosen, index), ui = shown("AudioXTakes", audio=audio, choose=2)
    assert torch.equal(chosen["waveform"], audio["waveform"][1:2])
    assert (chosen["sample_rate"], index) == (RATE, 1)
    assert ui["text"][0].startswith("3 takes: take 2 is used\n1: ")
    assert len(ui["text"][0].splitlines()) == 4


def test_each_take_has_a_file_that_plays_it(comfy, shown):
    audio = batch(clicks(0.5), clicks(1.0))
    _, ui = shown("AudioXTakes", "files", audio=audio, choose=1)
    for file, sound in zip(ui["audiox_players"], audio["waveform"], strict=True):
        assert file["type"] == "temp"
        path = Path(comfy.folder_paths.get_temp_directory()) / file["subfolder"] / file["filename"]
        with av.open(str(path)) as saved:
            frames = [frame.to_ndarray() for frame in saved.decode(audio=0)]
        assert sum(frame.shape[-1] for frame in frames) in (sound.shape[-1], 2 * sound.shape[-1])


def test_choosing_another_take_keeps_the_files(shown):
    audio = batch(clicks(0.5), clicks(1.0))
    first, second = (shown("AudioXTakes", "kept", audio=audio, choose=k)[1] for k in (1, 2))
    assert first["audiox_players"] == second["audiox_players"]
    assert "new" not in second["text"][0]


def test_other_takes_than_before_are_called_new(shown):
    for number, word in ((0.5, "2 takes"), (0.7, "2 new takes"), (0.7, "2 takes")):
        audio = batch(clicks(number), clicks(1.0))
        _, ui = shown("AudioXTakes", "new", audio=audio, choose=2)
        assert ui["text"][0].startswith(f"{word}: take 2 is used")


@pytest.mark.parametrize("choose", [0, 3, -1, 1.5, float("nan"), "2"])
def test_a_take_that_does_not_exist_is_an_error_with_their_number(pack, shown, choose):
    with pytest.raises(Exception, match="the number of takes in the batch"):
        shown("AudioXTakes", audio=batch(clicks(), clicks()), choose=choose)


def test_takes_say_how_well_they_meet_the_picture(shown, video):
    audio = batch(clicks(1.0, 2.0), clicks(1.1, 2.6))
    _, ui = shown("AudioXTakes", audio=audio, choose=1, video=video)
    _, first, second = ui["text"][0].splitlines()
    assert "sounds at 2 of 2 picture changes" in first
    assert float(first.rsplit(" ms")[0].rsplit(" ", 1)[1]) <= 20
    assert "sounds at 1 of 2 picture changes, 1" in second  # 100 ms or so


def test_the_preview_says_the_level_and_the_distance_to_each_cut(shown, video):
    (image,), ui = shown("AudioXPreview", audio=batch(clicks(1.1)), video=video)
    level, first, second = ui["text"][0].splitlines()
    assert level.endswith(" dB, 3.00 s")
    assert "LUFS" in level
    assert first.startswith("cut at 1.00 s: sound +")
    assert 80 <= float(first.split("+")[1].split()[0]) <= 120
    assert second == "cut at 2.00 s: no sound begins within 0.5 s"
    assert image.shape[0] == 1
    assert image.shape[3] == 3
    assert 0 <= image.min() < image.max() <= 1
    assert ui["audiox_aspect"] == [image.shape[1] / image.shape[2]]
    assert len(ui["images"]) == len(ui["audiox_players"]) == 1


def test_start_is_the_second_of_the_video_at_which_the_audio_begins(shown, video):
    _, ui = shown("AudioXPreview", audio=batch(clicks(0.5, seconds=1.5)), video=video, start=1.5)
    cut = ui["text"][0].splitlines()[1]
    assert abs(float(cut.split()[2]) - 0.5) <= 0.04  # a frame


def test_a_start_after_the_end_of_the_video_is_an_error(shown, video):
    with pytest.raises(Exception, match=r"start is 5 s, but the video is 3\.00 s long"):
        shown("AudioXPreview", audio=batch(clicks()), video=video, start=5.0)


def test_the_preview_of_a_batch_says_which_item_it_shows(shown):
    _, ui = shown("AudioXPreview", audio=batch(clicks(), clicks()))
    assert "1 of 2 takes is used; AudioX Takes chooses another" in ui["text"][0]


@pytest.mark.parametrize("samples", [1, 100, 513])
def test_very_short_sounds_are_shown(shown, samples):
    shown("AudioXTakes", audio=batch(clicks()[:, :samples], clicks()[:, :samples]), choose=1)
    shown("AudioXPreview", audio=batch(clicks()[:, :samples]))


def test_a_video_that_cannot_be_a_key_is_shown(shown, video):
    class Unhashable(type(video)):
        __hash__ = None

    other = Unhashable(video.get_components())
    _, ui = shown("AudioXPreview", audio=batch(clicks(1.1)), video=other)
    assert "cut at 1.00 s" in ui["text"][0]


def test_takes_of_another_length_are_not_called_new(shown):
    for seconds in (3.0, 2.0):
        audio = batch(clicks(0.5, seconds=seconds), clicks(1.0, seconds=seconds))
        _, ui = shown("AudioXTakes", "another workflow", audio=audio, choose=1)
        assert ui["text"][0].startswith("2 takes: ")


def test_decode_says_that_a_loudness_was_not_reached(node, loaded):
    latent = node("AudioXEmptyLatent", seconds=0.2)
    noise = {**latent, "samples": torch.randn(1, 64, 236, generator=torch.Generator())}
    node("AudioXDecode", vae=loaded.vae, latent=noise, level="loudness")
    assert "(not -16 LUFS: too short" in node.text


def test_silence_and_mono_are_shown(shown):
    silent = {"waveform": torch.zeros(1, 1, RATE), "sample_rate": RATE}
    _, ui = shown("AudioXPreview", audio=silent)
    assert ui["text"][0].startswith("silent")


def test_the_soundtrack_of_a_batch_says_which_item_it_uses(node, video):
    node("AudioXSoundtrack", video=video, audio=batch(clicks(), clicks()))
    assert node.text.endswith("\n1 of 2 takes is used; AudioX Takes chooses another")


@pytest.fixture
def live(pack):
    return importlib.import_module(f"{pack.__name__}.nodes.bridge.live_preview")


@pytest.mark.parametrize("sampler", ["AudioXSampler", "KSampler"])
def test_a_run_on_a_gpu_shows_the_sound_before_it_ends(node, live, monkeypatch, sampler):
    import comfy.utils

    shown = []
    monkeypatch.setattr(live, "is_wanted", lambda device: True)
    monkeypatch.setattr(live, "preview_steps", lambda config, steps: {2, 4})
    hook = lambda value, total, preview, node_id=None: shown.append((value, preview))  # noqa: E731
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", hook)
    model, conditioners, _ = node("AudioXLoadCheckpoint", file="embedded")
    text = node("AudioXEncodeText", conditioners=conditioners, text="rain")
    positive, negative = node("AudioXMaskedConditioning", conditioners=conditioners, text=text)
    latent = node("AudioXEmptyLatent", seconds=3.0)
    inputs = {"model": model, "positive": positive, "negative": negative, "latent_image": latent}
    own = {"cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    node(sampler, seed=0, steps=6, **inputs, **(own if sampler == "KSampler" else {}))
    pictures = {value: preview for value, preview in shown if preview is not None}
    assert set(pictures) <= {3, 5}
    assert 3 in pictures  # the second one may cost more than a tenth of this short run
    kind, picture, size = pictures[3]
    assert (kind, size) == ("JPEG", live.SIZE)
    assert picture.size[0] > picture.size[1] > 100
    assert picture.getextrema()[0][1] > 200  # something is bright


def test_previews_are_left_out_on_a_cpu_and_where_decoding_would_cost_too_much(live):
    assert not live.is_wanted(torch.device("cpu"))
    assert len(live.preview_steps(VARIANTS["audiox"], 250)) == 3
    assert max(live.preview_steps(VARIANTS["audiox"], 250)) < 249
    assert live.preview_steps(VARIANTS["audiox-turbo"], 4) == set()


def test_a_preview_saves_the_sound_with_its_workflow_where_save_as_says(comfy, shown):
    sound = 0.3 * clicks(0.5)
    _, ui = shown("AudioXPreview", audio=batch(sound), save_as="audio/bell")
    (file,) = ui["audiox_players"]
    assert (file["type"], file["subfolder"]) == ("output", "audio")
    assert f"saved as audio/{file['filename']}" in ui["text"][0]
    path = Path(comfy.folder_paths.get_output_directory()) / "audio" / file["filename"]
    with av.open(str(path)) as saved:
        assert json.loads(saved.metadata["workflow"]) == {"nodes": [7]}
    torch.testing.assert_close(read_audio(path, sample_rate=RATE), sound, atol=1e-4, rtol=0)


def test_a_preview_without_save_as_leaves_nothing_in_the_output_folder(comfy, shown):
    folder = Path(comfy.folder_paths.get_output_directory())
    before = sorted(folder.rglob("*"))
    _, ui = shown("AudioXPreview", audio=batch(clicks(0.5)))
    assert [file["type"] for file in ui["audiox_players"]] == ["temp"]
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("place", ["../elsewhere", "/tmp/elsewhere"])
def test_a_preview_does_not_save_outside_the_output_folder(shown, place):
    with pytest.raises(Exception, match="outside the output folder: use a name"):
        shown("AudioXPreview", audio=batch(clicks(0.5)), save_as=place)
