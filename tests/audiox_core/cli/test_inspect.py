"""`inspect` as a command: a table for people, JSON for programs."""

import json

import torch
from safetensors.torch import save_file

from audiox_core.checkpoint.checkpoint_file import EMBEDDED


def test_inspect_prints_a_table(run):
    code, out, err = run("inspect", EMBEDDED, "--deep")
    assert (code, err) == (0, ["INFO: reading"])
    for line in ("variant", "layout                    complete", "LayerNorm betas", "sizes"):
        assert line in out
    assert max(len(line.partition("  ")[0]) for line in out.splitlines()) < 26


def test_inspect_prints_json(run):
    code, out, _ = run("inspect", EMBEDDED, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["complete"] is True
    assert report["variant"] == "audiox-nano"


def test_names_that_could_control_a_terminal_are_printed_harmlessly(run, tmp_path):
    save_file({"x\x1b[31m\ny": torch.zeros(2)}, tmp_path / "a.safetensors", {"b\x07": "c"})
    code, out, _ = run("inspect", tmp_path / "a.safetensors")
    assert code == 0
    assert "x\ufffd[31m\ufffdy" in out
    assert out.replace("\n", "").isprintable()
