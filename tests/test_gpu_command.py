"""`python -m tests.gpu` at toy size on the CPU."""

import importlib
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from audiox_core.pipeline.accelerate import GraphedPredict

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu")
    files = folder / "gpu.json", folder / "gpu.md"
    command = [sys.executable, "-m", "tests.gpu", "--toy", "--minutes", "5"]
    command += ["--json", str(files[0]), "--markdown", str(files[1])]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(files[0].read_text()), files[1].read_text()


def test_the_gpu_command_measures_every_case_without_an_error(measured):
    rows = measured[0]["rows"]
    assert [row for row in rows if "error" in row] == []
    cases = {row["case"].split(":")[0].split(",")[0] for row in rows}
    expected = {
        "limit", "step", "sound 10 s", "decode 10 s", "encode 10 s", "weights", "parity", "load",
        "profile of a step", "Synchformer 10 s", "CLIP and time 10 s", "end to end 2 s",
        "trained VAE", "sound 12 s", "2 takes of 10 s",
    }  # fmt: skip
    assert expected <= cases


def test_the_gpu_command_keeps_the_golden_cases_within_their_tolerance(measured):
    rows = [row for row in measured[0]["rows"] if row["case"] == "parity"]
    exact = [row for row in rows if row["precision"] == "float32"]
    assert len(exact) >= 5
    assert all(row["data"]["passed"] for row in exact)


def test_the_gpu_command_gives_times_as_a_share_of_the_device_limit(measured):
    data, markdown = measured
    steps = [row for row in data["rows"] if row["case"] == "step"]
    assert {row["model"] for row in steps} >= {"audiox", "audiox-maf", "audiox-turbo"}
    assert all(row["share"] > 0 and row["seconds"] > 0 for row in steps)
    assert all(f"| step | {row['model']} | {row['precision']} |" in markdown for row in steps)


@pytest.mark.parametrize("way", ["with_graph_of_the_network", "with_one_graph"])
def test_a_take_with_cuda_graphs_sounds_like_the_eager_take(way, toys, monkeypatch):
    package = toys.__name__.rpartition(".")[0]
    models, sound = (importlib.import_module(f"{package}.gpu.{n}") for n in ("models", "sound"))
    # in place of a recorded graph, the function itself
    monkeypatch.setattr(sound, "capture", lambda run: run)
    in_place = partial(GraphedPredict, record=lambda run, _device: run)
    monkeypatch.setattr(sound, "GraphedPredict", in_place)
    zoo = models.Zoo(torch.device("cpu"), toy=True)
    checkpoint = zoo.checkpoint(models.TURBO, "float32")
    take = sound.Take(checkpoint, zoo.conditioning(models.TURBO), seconds=1)
    torch.testing.assert_close(getattr(take, way)()(7), take.sound(7))


@pytest.mark.parametrize(
    ("row", "failed"),
    [
        ({"seconds": 1.0}, 0),
        ({"error": "RuntimeError"}, 1),
        ({"data": {"passed": False}}, 1),
        ({"data": {"passed": True}}, 0),
    ],
)
def test_the_gpu_command_fails_if_one_of_its_cases_does(toys, monkeypatch, capsys, row, failed):
    package = toys.__name__.rpartition(".")[0]
    command = importlib.import_module(f"{package}.gpu.__main__")
    rows = command.Row("limits", seconds=1.0), command.Row("tried", **row)
    monkeypatch.setattr(
        command, "cases", lambda bench, _zoo: {r.case: partial(bench.add, r) for r in rows}
    )
    assert command.main(["--toy"]) == failed
    assert f"2 rows, {failed} failed" in capsys.readouterr().out
