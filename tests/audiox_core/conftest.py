"""Small media files, a model's sizes that make them quick to read, and a trained tiny model."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

from audiox_core.config import AudioXConfig, ClipConfig, LatentConfig, VideoConfig
from audiox_core.lab.from_scratch.stages import from_scratch
from audiox_core.lab.plot_loss import plot_losses
from audiox_core.lab.world.source import WorldData
from audiox_core.training.config import TrainConfig
from audiox_core.training.distributed import Distributed
from audiox_core.training.run import Job, prepare, run_job
from audiox_core.training.settings import read_settings

RATE = 8_000  # Hz
SETTINGS = Path(__file__).parent / "training" / "tiny.toml"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def small() -> AudioXConfig:
    """Windows of 2.048 s of which 2 s are conditioned, pictures of 32 pixels at 5 a second."""
    latent = LatentConfig(sample_rate=RATE, hop_length=1_024, window=16, conditioned_seconds=2.0)
    video = VideoConfig(frames=10, clip=ClipConfig(image=32))
    return replace(AudioXConfig(), latent=latent, video=video)


@pytest.fixture
def media(tmp_path) -> Path:
    """An empty folder of media."""
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


@pytest.fixture
def film(media) -> Callable[..., Path]:
    """Make a file: frame `k` of a picture is grey `10 k`, sample `n` of a sound tells its second.

    `film("a.mp4")`, without picture `film("a.wav", picture=False)`, and so on.
    """

    def make(name: str, seconds: float = 3.0, *, picture=True, sound=True, loud=0.5) -> Path:
        path = media / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            if picture:
                stream = container.add_stream("mpeg4", rate=5)
                stream.width = stream.height = 32
                stream.pix_fmt = "yuv420p"
            if sound:
                heard = container.add_stream("aac" if picture else "pcm_s16le", rate=RATE)
                heard.layout = "mono"
            for k in range(round(5 * seconds) if picture else 0):
                pixels = np.full((32, 32, 3), min(10 * k, 250), np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
                container.mux(stream.encode(frame))
            if picture:
                container.mux(stream.encode(None))
            if sound and seconds:
                second = np.arange(round(seconds * RATE)) // RATE
                samples = loud * (second + 1) / 40 * np.where(np.arange(len(second)) % 2, 1, -1)
                kind = ("fltp", np.float32, 1) if picture else ("s16", np.int16, 32_767)
                frame = av.AudioFrame.from_ndarray(
                    (samples * kind[2]).astype(kind[1])[None], format=kind[0], layout="mono"
                )
                frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
                container.mux(heard.encode(frame))
                container.mux(heard.encode(None))
        return path

    return make


@pytest.fixture(scope="session")
def settings() -> Callable[..., TrainConfig]:
    """`settings(**{"run.steps": 3})`: those of `tiny.toml`, some of them changed."""
    return lambda **changes: read_settings(SETTINGS, changes.items())


@pytest.fixture(scope="session")
def clip_cache(tmp_path_factory) -> Path:
    """The folder of the cache, shared by all tests."""
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def job(settings, clip_cache) -> Callable[..., Job]:
    """A job on the synthetic world: `job("vae", output, **{"run.steps": 3})`."""

    def make(stage: str, output: Path, *, changes=(), **parts) -> Job:
        config = settings(**{"data.cache": str(clip_cache), **dict(changes)})
        given = {"data_source": WorldData, "on_save": plot_losses} | parts
        return from_scratch(Job(stage, config, output, **given))

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
def command(clip_cache, trained_vae) -> Callable[..., subprocess.Popen]:
    """Start `train diffusion` on the tiny model in a process of its own."""

    def start(output: Path, *arguments: str, launcher: tuple[str, ...] = ("-m",)):
        line = [
            sys.executable, *launcher, "audiox_core", "train", "diffusion",
            "--config", SETTINGS, "--vae", trained_vae.outcome.weights, "--cache", clip_cache,
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
    """The stage that continues to train the tiny model, all of it: `prepared(**changes)`."""

    def make(**changes):
        parts = {"diffusion.train_clip": True, "diffusion.train_text": True}
        made = job("diffusion", tmp_path, changes=parts | changes, init=trained_model.path)
        return prepare(made, Distributed())[0]

    return make
