"""`train` as a command, and that generation knows nothing of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from audiox_core.cli import main

ROOT = Path(__file__).parents[3]
SETTINGS = ROOT / "tests" / "audiox_core" / "training" / "tiny.toml"


@pytest.fixture
def run(capsys, clip_cache):
    def call(*arguments):
        with_cache = ["train", *arguments, "--cache", clip_cache, "--device", "cpu"]
        code = main([str(argument) for argument in with_cache])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_a_run_prints_its_progress_and_result(run, tmp_path):
    code, out, _ = run("vae", "--config", SETTINGS, "-o", tmp_path, "--steps", 2, "--lr", 0.002)
    assert code == 0
    first, second, last = out.splitlines()
    assert first.startswith("step 1/2  loss ")
    assert " left" in second
    assert last == f"{tmp_path / 'vae.safetensors'}: 2 steps"


def test_invalid_lines_of_a_manifest_are_counted_and_listed(run, film, media, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        film(name, seconds=5.0)
    lines = [
        '{"path": "a.mp4", "caption": "steps"}',
        '{"path": "missing.mp4", "start": 0, "caption": "rain"}',
        "no JSON at all",
        json.dumps({"path": "b.mp4", "caption": 1_000 * "long words "}),
    ]
    manifest = media / "clips.jsonl"
    manifest.write_text("\n".join(lines), encoding="utf-8")
    code, _, err = run(
        "vae", "--config", SETTINGS, "--data", manifest, "-o", tmp_path, "--steps", 1
    )  # fmt: skip
    assert code == 0
    assert "2 of 4 clips cannot be used" in err
    assert "captions cut 1 times" in err
    skipped = (tmp_path / "skipped.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["index"] for line in skipped] == [1, 2]
    assert "missing.mp4" in skipped[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("vae",), "No training data"),
        (("vae", "--data", "none.jsonl"), "none.jsonl"),
        (("vae", "--data", "world", "--set", "optim.lrr=1"), "did you mean 'lr'?"),
        (("diffusion", "--data", "world"), "diffusion.train_clip"),
        (("lora", "--data", "world"), "--init"),
        (("vae", "--data", "world", "--init", "none.safetensors"), "no weights file"),
    ],
)
def test_a_mistake_is_a_one_line_error(run, tmp_path, arguments, said):
    code, out, err = run(*arguments, "-o", tmp_path / "out")
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert said in line


@pytest.mark.parametrize(
    ("imported", "strange"),
    [
        ("audiox_core.pipeline.pipeline", "audiox_core.training"),
        ("audiox_core.cli", "audiox_core.lab"),
        ("audiox_core.cli", "tinysoundfont"),
        ("audiox_core.cli", "pretty_midi"),
    ],
)
def test_generation_imports_nothing_of_training_and_lab(imported, strange):
    look = f"import sys, {imported}; print([n for n in sys.modules if n.startswith({strange!r})])"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
