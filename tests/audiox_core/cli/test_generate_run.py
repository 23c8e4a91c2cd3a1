"""The run of `generate`: files are opened before weights are read."""

import json

import pytest

from audiox_core.checkpoint.checkpoint_file import CheckpointFile


def test_a_lora_that_is_none_is_refused_before_weights_are_read(run, tmp_path, monkeypatch):
    monkeypatch.setattr(CheckpointFile, "load", lambda *_, **__: 1 / 0)
    (tmp_path / "lora.safetensors").write_bytes(b"half a header")
    code, _, err = run("generate", "--prompt", "rain", "--lora", "lora.safetensors", "-o", "a.wav")
    assert code == 2
    assert "lora.safetensors is damaged or incomplete" in err[-1]


def test_the_summary_says_what_was_used(run):
    given = ("--prompt", "rain", "--seconds", "1", "--steps", "2", "--cfg", "3", "--seed", "5")
    code, out, _ = run("generate", *given, "--sampler", "euler", "-o", "a.wav", "--json")
    summary = json.loads(out)
    expected = {"outputs": ["a.wav"], "seconds": 1.0, "seed": 5, "steps": 2, "cfg": 3.0}
    assert code == 0
    assert {name: summary[name] for name in expected} == expected
    assert (summary["sampler"], summary["variant"]) == ("euler", "audiox-nano")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--init-audio", "a.wav"), "a.wav has an empty audio track"),
        (("--image", "a.wav"), "a.wav contains no image"),
        (("--device", "cuda:99"), "The device 'cuda:99' cannot be used here"),
        (("--device", "mps"), "the GPU of a Mac"),
    ],
)
def test_inputs_are_refused_before_weights_are_read(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr(CheckpointFile, "load", lambda *_, **__: 1 / 0)
    header = b"RIFF" + (36).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    sizes = (1, 1, 8_000, 16_000, 2, 16)  # PCM, mono, rate, bytes a second, a sample, its bits
    for size, width in zip(sizes, (2, 2, 4, 4, 2, 2), strict=True):
        header += size.to_bytes(width, "little")
    (tmp_path / "a.wav").write_bytes(header + b"data" + bytes(4))  # no samples
    code, _, err = run("generate", "--prompt", "rain", *arguments, "-o", "b.wav")
    assert code == 2
    assert message in err[-1]


def test_every_stage_is_a_line_where_there_is_no_terminal(run):
    given = ("--prompt", "rain", "--seconds", "1", "--steps", "1", "-o", "a.wav")
    _, _, err = run("generate", *given)
    lines = [line.removeprefix("INFO: ") for line in err if line.startswith("INFO: ")]
    stages = [
        "starting", "loading the model", "encoding the text", "sampling", "decoding", "finishing",
        "writing the file",
    ]  # fmt: skip
    assert [line for line in lines if line in stages] == stages
