"""Rendering jobs: models stay loaded, errors are results."""

import pytest
import torch

from audiox_core.batch.identity import Identity
from audiox_core.batch.jobs import Job
from audiox_core.batch.worker import Worker
from audiox_core.errors import MediaError
from audiox_core.media.audio import read_audio
from audiox_core.pipeline.model_options import ModelOptions
from audiox_core.pipeline.pipeline import generate
from audiox_core.pipeline.request import Request

CPU = ModelOptions(device="cpu")


@pytest.fixture(scope="module")
def worker():
    return Worker(Identity())


@pytest.fixture
def render(worker, tmp_path):
    def render(request, name="sub/a.wav", options=CPU):
        return worker.render(worker.prepare(Job(1, tmp_path / name, request, options)))

    return render


def test_a_sound_is_what_generate_makes(render, tmp_path, checkpoint):
    request = Request("rain", seconds=1.0, steps=1, seed=4, takes=2)
    result = render(request)
    assert (result.status, result.seconds, result.seed) == ("done", 2.0, 4)
    first = generate(Request("rain", seconds=1.0, steps=1, seed=4), checkpoint).waveform
    torch.testing.assert_close(read_audio(tmp_path / "sub/a-1.wav"), first, atol=4e-5, rtol=0)
    assert result.bytes == sum(p.stat().st_size for p in (tmp_path / "sub").iterdir())


def test_an_error_is_a_result_and_leaves_no_folder(render, tmp_path):
    result = render(Request(video=tmp_path / "no.mp4"), "sub/a.mp4")
    assert (result.status, result.error[:20]) == ("failed", "There is no file " + str(tmp_path)[:3])
    assert not (tmp_path / "sub").exists()
    result = render(Request("rain"), options=ModelOptions(tmp_path / "no.ckpt"))
    assert "There is no weights file" in result.error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MediaError("it is damaged"), "it is damaged"),
        (MemoryError(), "There is not enough memory"),
        (ValueError("two\nlines"), "ValueError: two lines"),
    ],
)
def test_an_error_of_any_kind_is_one_line(render, monkeypatch, error, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("audiox_core.batch.worker.render", fail)
    assert render(Request("rain", seconds=1.0)).error.startswith(message)


def test_an_input_that_changed_after_it_was_read_is_read_again(worker, tmp_path):
    job = Job(1, tmp_path / "b.wav", Request(image=tmp_path / "a.png", steps=1), CPU)
    missing = worker.prepare(job)
    assert missing.error is not None
    pillow = pytest.importorskip("PIL.Image")
    pillow.new("RGB", (8, 8)).save(tmp_path / "a.png")
    result = worker.render(missing)
    assert (result.status, result.key) == ("done", worker.identity.key(job))


def test_one_model_is_loaded_at_a_time(worker, toy):
    first = worker.pipeline(CPU)
    assert worker.pipeline(CPU) is first
    other = worker.pipeline(ModelOptions(toy, device="cpu"))
    assert other is not first
    assert worker.pipeline(CPU) is not first
