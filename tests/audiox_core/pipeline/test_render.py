"""Rendering a request to files: the part that `generate` and `batch` share."""

from pathlib import Path

import pytest
import torch

from audiox_core.errors import WeightsError
from audiox_core.media.audio import read_audio
from audiox_core.pipeline.model_options import ModelOptions
from audiox_core.pipeline.render import GENERATING, WRITING, Model, render, render_seconds
from audiox_core.pipeline.request import Request
from audiox_core.progress import Stages

RAIN = Request("rain", seconds=1.0, steps=1, takes=2)


def test_each_take_has_a_file_and_the_progress_ends_at_one(tmp_path):
    model, reports = Model.open(ModelOptions(device="cpu")), []
    output = tmp_path / "a.wav"
    sources = model.sources(RAIN, output)
    stages = Stages(render_seconds(model.file, RAIN, sources, "cpu"), reports.append)
    pipeline = model.load()
    summary = render(pipeline, RAIN, output, sources, stages)
    assert [Path(path).name for path in summary["outputs"]] == ["a-1.wav", "a-2.wav"]
    first, second = (read_audio(tmp_path / f"a-{k}.wav") for k in (1, 2))
    assert not torch.equal(first, second)
    assert reports[0].share == 0
    assert (reports[-1].stage, reports[-1].share) == (WRITING, 1.0)
    assert GENERATING not in {report.stage for report in reports}  # its own stages are shown


def test_a_model_is_checked_before_its_weights_are_read(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"half a header")
    with pytest.raises(WeightsError, match="damaged or incomplete"):
        Model.open(ModelOptions(lora=((tmp_path / "a.safetensors", 1.0),)))
