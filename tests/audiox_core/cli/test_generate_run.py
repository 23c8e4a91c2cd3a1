"""The run of `generate`: files are opened before weights are read."""

import json

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
    expected = {"output": "a.wav", "seconds": 1.0, "seed": 5, "steps": 2, "cfg": 3.0}
    assert code == 0
    assert {name: summary[name] for name in expected} == expected
    assert (summary["sampler"], summary["variant"]) == ("euler", "audiox-nano")
