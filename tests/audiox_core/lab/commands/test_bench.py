"""`lab bench` from outside, and what it counts with."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

from audiox_core.cli import main
from audiox_core.lab.bench import against
from audiox_core.lab.bench.against import Comparison, Measured
from audiox_core.lab.bench.names import NAMES

ROOT = Path(__file__).parents[4]


def test_the_steps_are_measured_beside_the_plain_path(capsys):
    assert main(["lab", "bench", "--only", "guided step", "--rounds", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["machine"]["torch"] == torch.__version__
    plain, *ours = report["lines"]
    assert (plain["way"], plain["ratio"]) == ("plain path", None)
    assert [line["way"] for line in ours] == [
        "condition embedding once",
        "keys and values once",
        "null branch without cross attention",
        "ours",
    ]
    assert all(line["baseline"] == "plain path" and line["ratio"] > 0 for line in ours)
    assert ours[-1]["memory_ratio"] < 0.9


SLOW = ("guided step", "long step", "long sound", "end to end", "ten seconds")
TOY = [n for n in NAMES if n not in (*SLOW, "encode sync")]


@pytest.mark.parametrize("name", TOY)
def test_every_case_makes_a_line_of_the_table(name, capsys):
    assert main(["lab", "bench", "--only", name, "--rounds", "1"]) == 0
    machine, header, *lines = capsys.readouterr().out.splitlines()
    assert "torch" in machine
    assert header.split()[:2] == ["time", "memory"]
    assert [line for line in lines if f"{name}: " in line]


def test_the_help_text_lists_every_case(capsys):
    with pytest.raises(SystemExit):
        main(["lab", "bench", "--help"])
    assert ", ".join(NAMES) in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rounds", "0"],
        ["--steps", "-1"],
        ["--depth", "2"],
        ["--size", "released", "--depth", "0"],
        ["--budget", "nan"],
        ["--only", "training"],
        ["--only", "encode sync"],  # the embedded model has no Synchformer
        ["--size", "huge"],
        ["--device", "abacus"],
        ["--against", "no-such-commit"],
        ["--against", "HEAD", "--ratio", "0"],
    ],
    ids=" ".join,
)
def test_an_invalid_measurement_is_a_one_line_error(arguments, capsys):
    try:
        code = main(["lab", "bench", *arguments])
    except SystemExit as stop:  # argparse
        code = stop.code
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if not line.startswith("INFO: ")]
    assert (code, out, len(errors)) == (2, "", 1)


def worktrees():
    listed = subprocess.run(
        ["git", "worktree", "list", "--porcelain"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {line for line in listed.stdout.splitlines() if line.startswith("worktree ")}


def test_a_commit_is_compared_with_the_files_as_they_are(capsys):
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    before = worktrees()
    options = ["--only", "encode text", "--rounds", "1", "--ratio", "0.001", "--json"]
    assert main(["lab", "bench", "--against", "HEAD", *options]) == 1
    (case,) = json.loads(capsys.readouterr().out)
    assert case["case"] == "encode text: ours"
    assert case["ratio"] == pytest.approx(case["after_seconds"] / case["before_seconds"], abs=1e-4)
    assert worktrees() <= before


@pytest.mark.parametrize(("ratio", "code"), [("1.2", 0), ("1.03", 1)])
def test_the_exit_code_says_whether_a_case_is_slower(ratio, code, monkeypatch, capsys):
    found = [
        Comparison("decode: whole", Measured(1.0), Measured(1.1)),
        Comparison("load: ours", Measured(1.0), Measured(0.9)),
    ]
    monkeypatch.setattr(against, "compare", lambda *_, **__: found)
    assert main(["lab", "bench", "--against", "HEAD", "--ratio", ratio]) == code
    assert len(capsys.readouterr().out.splitlines()) == 2
