"""Layers and their mix in ComfyUI: any AUDIO, chains of any length, and what the nodes show."""

from typing import Any

import pytest
import torch

from audiox_core.media.ducking import Ducking
from audiox_core.media.layers import Layer, mix_layers
from audiox_core.media.loudness import measure_loudness

RATE = 44_100


def audio(seconds: float = 1.0, level: float = 0.1, channels: int = 2, rate: int = RATE) -> Any:
    noise = torch.randn(
        1, channels, round(seconds * rate), generator=torch.Generator().manual_seed(0)
    )
    return {"waveform": level * noise, "sample_rate": rate}


@pytest.fixture
def chain(node):
    """A chain of layers; `chain.texts` is what their nodes show."""

    def make(*layers: dict[str, Any]) -> Any:
        made, make.texts = None, []
        for settings in layers:
            made = node("AudioXLayer", layers=made, **settings)
            make.texts.append(node.text)
        return made

    return make


def test_a_chain_of_layers_is_mixed_as_the_core_mixes_them(node, chain):
    voice, bed = audio(2.0, 0.2), audio(4.0, 0.05, channels=1, rate=22_050)
    layers = chain(
        {"audio": bed, "gain_db": -3.0, "fade_out": 1.0, "name": "bed"},
        {"audio": voice, "start": 1.0, "pan": -0.5, "name": "voice"},
    )
    mix = node("AudioXMix", layers=layers, duck_under=2, lufs=-18.0)
    assert chain.texts == ["layer 1 bed: 0.00 to 4.00 s", "layer 2 voice: 1.00 to 3.00 s"]
    expected = mix_layers(
        [
            Layer(bed["waveform"][0].expand(2, -1), 22_050, -3.0, fade_out=1.0, name="bed"),
            Layer(voice["waveform"][0], RATE, start=1.0, pan=-0.5, name="voice"),
        ],
        duck_under=2,
        ducking=Ducking(9.0),
        lufs=-18.0,
    )
    assert torch.equal(mix["waveform"][0], expected.mastered.waveform)
    assert mix["sample_rate"] == RATE
    assert node.text.splitlines() == expected.report()
    assert node.text.startswith("1 bed: -")
    measured = measure_loudness(mix["waveform"][0], RATE)
    assert measured.lufs == pytest.approx(-18, abs=0.05)
    assert measured.peak_db <= -1 + 1e-3


@pytest.mark.parametrize(
    "given",
    [
        audio(channels=1),
        audio(channels=6),
        audio(rate=8_000),
        audio(0.001),
        {**audio(), "waveform": (audio()["waveform"] * 20_000).to(torch.int16)},
        {**audio(), "waveform": torch.zeros(1, 2, RATE)},
    ],
    ids=["mono", "5.1", "8 kHz", "a millisecond", "int16", "silence"],
)
def test_any_audio_is_a_layer(node, chain, given):
    mix = node("AudioXMix", layers=chain({"audio": audio()}, {"audio": given}), seconds=2.0)
    assert mix["waveform"].shape == (1, 2, 2 * RATE)
    assert mix["waveform"].isfinite().all()
    assert len(node.text.splitlines()) >= 3


def test_the_first_sound_of_a_batch_is_the_layer_and_the_node_says_so(node, chain):
    batch = {**audio(), "waveform": torch.cat([audio()["waveform"], torch.ones(2, 2, RATE)])}
    one, first = chain({"audio": audio()}), chain({"audio": batch})
    assert "1 of 3 takes is used" in chain.texts[0]
    assert torch.equal(one[0].waveform, first[0].waveform)


def test_a_video_without_sound_is_a_silent_layer_that_keeps_its_number(node, chain):
    layers = chain({"audio": None, "name": "dialogue"}, {"audio": audio()})
    assert chain.texts[0] == "layer 1 dialogue: no audio: silent"
    node("AudioXMix", layers=layers, duck_under=1)
    assert node.text.splitlines()[0] == "1 dialogue: silent"


def test_a_layer_that_starts_after_the_end_is_named(node, chain):
    layers = chain({"audio": audio()}, {"audio": audio(), "start": 5.0, "name": "late"})
    node("AudioXMix", layers=layers, seconds=3.0)
    assert node.text.splitlines()[1] == "2 late: not heard: 5.00 to 6.00 s of 3.00 s"


def test_without_a_loudness_the_level_of_the_layers_is_kept(node, chain):
    mix = node("AudioXMix", layers=chain({"audio": audio()}), lufs=0.0)
    assert torch.equal(mix["waveform"], audio()["waveform"])


def test_a_number_of_a_layer_that_does_not_exist_is_an_error(node, chain):
    with pytest.raises(Exception, match=r"duck_under is 3: .* from 0 to 1: there is 1 layer"):
        node("AudioXMix", layers=chain({"audio": audio()}), duck_under=3)


def test_a_layer_can_begin_two_chains(node):
    first = node("AudioXLayer", audio=audio())
    pairs = [node("AudioXLayer", audio=audio(), layers=first, name=name) for name in "ab"]
    assert len(first) == 1
    assert [[layer.name for layer in pair] for pair in pairs] == [["", "a"], ["", "b"]]


def test_layers_run_in_comfyui(execute):
    layer = {"gain_db": -6.0, "start": 0.0, "fade_in": 0.0, "fade_out": 0.0, "pan": 0.0, "name": ""}
    mix = {"duck_under": 2, "duck_db": 9.0, "attack": 0.05, "release": 0.4, "lufs": -16.0}
    prompt = {
        "a": ("EmptyAudio", {"duration": 1.0, "sample_rate": RATE, "channels": 2}),
        "1": ("AudioXLayer", {"audio": ["a", 0], **layer}),
        "2": ("AudioXLayer", {"audio": ["a", 0], "layers": ["1", 0], **layer, "start": 0.5}),
        "m": ("AudioXMix", {"layers": ["2", 0], **mix, "ceiling_db": -1.0, "seconds": 0.0}),
        "p": ("PreviewAudio", {"audio": ["m", 0]}),
    }
    execute({key: {"class_type": kind, "inputs": given} for key, (kind, given) in prompt.items()})
    outputs = execute.executor.history_result["outputs"]
    assert outputs["2"]["text"] == ["layer 2: 0.50 to 1.50 s"]
    assert outputs["m"]["text"][0].splitlines()[-1] == "mix: silent; 1.50 s"
    assert outputs["p"]["audio"]


def test_the_tail_of_a_continuation_is_its_prompt_in_one_connection(node, loaded):
    sound = audio(12.0)
    _, seconds, tail = node("AudioXInpaintLatent", vae=loaded.vae, audio=sound, extend_after=3.0)
    assert seconds == 15
    assert torch.equal(tail["waveform"], sound["waveform"][..., 2 * RATE :])
    shared = {"conditioners": loaded.conditioners, "vae": loaded.vae}
    heard = node("AudioXEncodeAudio", audio=tail, **shared)
    expected = node("AudioXEncodeAudio", audio=sound, start=-10.0, **shared)
    assert torch.equal(heard.tokens, expected.tokens)


@pytest.mark.parametrize("feather", [0.1, 2.0])
def test_a_continuation_keeps_the_sound_before_its_crossfade(node, loaded, feather):
    sound = audio(4.0)
    latent, _, _ = node("AudioXInpaintLatent", vae=loaded.vae, audio=sound, extend_after=2.0,
                        feather=feather)  # fmt: skip
    out = node("AudioXDecode", vae=loaded.vae, latent=latent)["waveform"]
    kept = round((4 - feather) * RATE)
    assert out.shape[-1] == 6 * RATE
    assert torch.equal(out[..., :kept], sound["waveform"][..., :kept])
    assert not torch.equal(out[..., kept : 4 * RATE], sound["waveform"][..., kept:])
    mask = latent["noise_mask"][0, 0]
    rising = mask[: round(4 * RATE / 2048)]
    assert rising[: int(kept / 2048)].eq(0).all()
    assert (rising.diff() >= 0).all()
    assert mask[round(4 * RATE / 2048) + 1 :].eq(1).all()
