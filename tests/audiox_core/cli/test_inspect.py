"""`inspect` as a command: a table for people, JSON for programs."""

import json

from audiox_core.checkpoint.checkpoint_file import EMBEDDED


def test_inspect_prints_a_table(run):
    code, out, err = run("inspect", EMBEDDED, "--deep")
    assert (code, err) == (0, [])
    for line in ("variant", "layout                    complete", "LayerNorm betas", "sizes"):
        assert line in out
    assert max(len(line.partition("  ")[0]) for line in out.splitlines()) < 26


def test_inspect_prints_json(run):
    code, out, _ = run("inspect", EMBEDDED, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["complete"] is True
    assert report["variant"] == "audiox-nano"
