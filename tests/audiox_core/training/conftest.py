"""A model of a few thousand weights, trained for a moment on the toy world."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from audiox_core.training.config import TrainConfig
from audiox_core.training.run import Job, prepare, run_job
from audiox_core.training.settings import read_settings
from audiox_core.training.team import Team

SETTINGS = Path(__file__).parent / "tiny.toml"
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def settings() -> Callable[..., TrainConfig]:
    """`settings(**{"run.steps": 3})`: those of `tiny.toml`, some of them changed."""
    return lambda **changes: read_settings(SETTINGS, changes.items())


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """The folder of the cache, shared by all tests."""
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def job(settings, clips) -> Callable[..., Job]:
    """A job on the toy world: `job("vae", output, **{"run.steps": 3})`."""

    def make(stage: str, output: Path, *, changes=(), **parts) -> Job:
        config = settings(**{"data.cache": str(clips), **dict(changes)})
        return Job(stage, config, output, **parts)

    return make


@pytest.fixture(scope="session")
def losses() -> Callable[[Path], list[float]]:
    """The loss of every step that a folder's log holds."""

    def read(folder: Path) -> list[float]:
        lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines]
        assert [entry["step"] for entry in entries] == [*range(1, len(entries) + 1)]
        return [entry["last"] for entry in entries]

    return read


@pytest.fixture(scope="session")
def trained_vae(job, tmp_path_factory) -> SimpleNamespace:
    """200 clips, 50 steps."""
    output = tmp_path_factory.mktemp("vae")
    return SimpleNamespace(output=output, outcome=run_job(job("vae", output)))


@pytest.fixture(scope="session")
def trained_model(job, trained_vae, tmp_path_factory) -> SimpleNamespace:
    """200 clips, 50 steps."""
    output = tmp_path_factory.mktemp("model")
    outcome = run_job(job("diffusion", output, vae=trained_vae.outcome.weights))
    return SimpleNamespace(output=output, outcome=outcome, path=outcome.weights)


@pytest.fixture
def command(clips, trained_vae) -> Callable[..., subprocess.Popen]:
    """Start `train diffusion` on the tiny model in a process of its own."""

    def start(output: Path, *arguments: str, launcher: tuple[str, ...] = ("-m",)):
        line = [
            sys.executable, *launcher, "audiox_core", "train", "diffusion",
            "--config", SETTINGS, "--vae", trained_vae.outcome.weights, "--cache", clips,
            "--device", "cpu", "--output", output, *arguments,
        ]  # fmt: skip
        threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        return subprocess.Popen(
            [str(part) for part in line], cwd=ROOT, env=os.environ | threads, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return start


@pytest.fixture
def prepared(job, trained_model, tmp_path) -> Callable:
    """The stage that goes on with the trained tiny model, all of it: `prepared(**changes)`."""

    def make(**changes):
        parts = {"diffusion.train_clip": True, "diffusion.train_text": True}
        made = job("diffusion", tmp_path, changes=parts | changes, init=trained_model.path)
        return prepare(made, Team())[0]

    return make
