"""CUDA graphs and compilation: the same numbers, and a run continues where they do not work."""

import logging
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from audiox_core import StartLatent, sample
from audiox_core.conditioners.assemble import Conditioning
from audiox_core.errors import SettingsError
from audiox_core.pipeline import accelerate
from audiox_core.pipeline.accelerate import GraphedPredict, accelerated

TOKENS = 343  # of the embedded model's conditions


@pytest.fixture
def conditioning(seeded) -> Conditioning:
    positive = torch.randn(1, TOKENS, 96, generator=seeded)
    return Conditioning(positive, torch.zeros_like(positive), 1)


def double(x, t):
    return 2 * x + t[:, None, None]


class Tape:
    """In place of a graph: writes each result to the same memory, as a graph does."""

    def __init__(self):
        self.recorded = 0

    def __call__(self, run, _device):
        self.recorded += 1
        out = run().clone()

        def replay():
            out.copy_(run())
            return out

        return replay


def test_a_graph_is_recorded_once_and_reads_every_input(seeded):
    tape = Tape()
    predict = GraphedPredict(double, tape)
    inputs = [
        (x, torch.rand(2, generator=seeded)) for x in torch.randn(5, 2, 3, 4, generator=seeded)
    ]
    made = [predict(*pair) for pair in inputs]
    assert tape.recorded == 1
    for found, pair in zip(made, inputs, strict=True):  # none was overwritten by a later one
        assert torch.equal(found, double(*pair))


def test_another_shape_is_computed_without_the_graph():
    predict = GraphedPredict(double, tape := Tape())
    ones = torch.ones(1, 2, 3), torch.ones(1)
    for _ in range(3):
        predict(*ones)
    longer = predict(torch.ones(1, 2, 7), torch.ones(1))
    assert torch.equal(longer, torch.full((1, 2, 7), 3.0))
    assert torch.equal(predict(*ones), torch.full((1, 2, 3), 3.0))
    assert tape.recorded == 1


def test_a_run_continues_where_no_graph_can_be_recorded(caplog):
    def refuse(_run, _device):
        raise RuntimeError("the host waits\nin many lines")

    predict = GraphedPredict(double, refuse)
    for _ in range(4):
        assert torch.equal(predict(torch.ones(1, 2, 3), torch.ones(1)), torch.full((1, 2, 3), 3.0))
    assert caplog.text.count("No CUDA graph was recorded (the host waits): running without.") == 1


def test_missing_memory_is_not_taken_for_a_graph_that_does_not_work():
    def refuse(_run, _device):
        raise torch.OutOfMemoryError("CUDA out of memory")

    predict = GraphedPredict(double, refuse)
    predict(torch.ones(1, 2, 3), torch.ones(1))
    with pytest.raises(torch.OutOfMemoryError):
        predict(torch.ones(1, 2, 3), torch.ones(1))


def test_a_graph_on_the_cpu_is_replaced_by_the_plain_network(checkpoint, caplog):
    with accelerated(checkpoint.backbone, double, "graph") as predict:
        assert predict is double
    assert "CUDA graphs need a CUDA device, this is cpu" in caplog.text


def test_an_unknown_acceleration_is_refused(checkpoint):
    with (
        pytest.raises(SettingsError, match="choose one of off, graph, compile"),
        accelerated(checkpoint.backbone, double, "fast"),
    ):
        pass


def assert_compiling_changes_nothing(checkpoint, conditioning):
    start = StartLatent(torch.zeros(1, 64, 236))
    few = replace(checkpoint.config.sampling, steps=2)
    plain = sample(checkpoint, conditioning, start, sampling=few)
    made = sample(checkpoint, conditioning, start, sampling=few, acceleration="compile")
    assert torch.equal(made, plain)


def test_a_run_continues_where_nothing_can_be_compiled(
    checkpoint, conditioning, monkeypatch, caplog
):
    def broken(**_inputs):
        raise RuntimeError("there is no compiler")

    def compile_nothing(self, dynamic):
        self._compiled_call_impl = broken

    monkeypatch.setattr(nn.Module, "compile", compile_nothing)
    assert_compiling_changes_nothing(checkpoint, conditioning)
    assert caplog.text.count("torch.compile failed (there is no compiler)") == 1


def test_a_run_continues_where_compile_itself_fails(checkpoint, conditioning, monkeypatch, caplog):
    layers = [*checkpoint.backbone.transformer.layers]

    def compile_first(self, dynamic):
        if self is not layers[0]:
            raise RuntimeError("this Python is too new")
        self._compiled_call_impl = lambda **_inputs: pytest.fail("was left compiled")

    monkeypatch.setattr(nn.Module, "compile", compile_first)
    assert_compiling_changes_nothing(checkpoint, conditioning)
    assert caplog.text.count("torch.compile failed (this Python is too new)") == 1


def test_missing_memory_is_not_taken_for_a_compiler_that_does_not_work(checkpoint, monkeypatch):
    def compile_nothing(self, dynamic):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(nn.Module, "compile", compile_nothing)
    with (
        pytest.raises(torch.OutOfMemoryError),
        accelerated(checkpoint.backbone, double, "compile"),
    ):
        pass


class FakeCuda:
    """In place of `torch.cuda`: notes on which device and in which mode a graph is made."""

    def __init__(self):
        self.device_now, self.notes = [], []
        self.Stream = self.current_stream
        self.CUDAGraph = lambda: SimpleNamespace(replay=self.replay)

    @contextmanager
    def device(self, device):
        self.device_now.append(device.index)
        yield
        self.device_now.pop()

    @contextmanager
    def graph(self, _graph, **options):
        self.notes.append(("record", *self.device_now, options, accelerate._RECORDING.locked()))
        yield

    def current_stream(self):
        return SimpleNamespace(wait_stream=lambda _other: None)

    def stream(self, _stream):
        return nullcontext()

    def replay(self):
        self.notes.append(("replay", *self.device_now))

    def get_sync_debug_mode(self):
        return 0

    def set_sync_debug_mode(self, mode):
        self.notes.append(("sync", mode))


def test_a_graph_is_recorded_and_replayed_on_the_device_of_its_inputs(monkeypatch):
    cuda = FakeCuda()
    monkeypatch.setattr(torch, "cuda", cuda)
    replay = accelerate.record_graph(lambda: torch.ones(1), torch.device("cuda", 1))
    assert torch.equal(replay(), torch.ones(1))
    recorded = ("record", 1, {"capture_error_mode": "thread_local"}, True)
    assert cuda.notes == [("sync", "error"), ("sync", 0), recorded, ("replay", 1)]
    assert not accelerate._RECORDING.locked()


def test_blocks_are_compiled_for_a_run_only(checkpoint, conditioning, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    calls = []

    def compile_by_name(self, dynamic):
        self._compiled_call_impl = lambda **inputs: calls.append(self) or self.forward(**inputs)

    monkeypatch.setattr(nn.Module, "compile", compile_by_name)
    start = StartLatent(torch.zeros(1, 64, 236))
    few = replace(checkpoint.config.sampling, steps=2)
    sample(checkpoint, conditioning, start, sampling=few, acceleration="compile")
    layers = [*checkpoint.backbone.transformer.layers]
    assert calls == layers * 2
    assert "The first step, with compiling, took" in caplog.text
    sample(checkpoint, conditioning, start, sampling=few)
    assert len(calls) == 2 * len(layers)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a CUDA device")
@pytest.mark.parametrize("frames", [236, 600])
def test_a_run_with_a_cuda_graph_gives_the_same_latents(checkpoint, conditioning, frames, caplog):
    from copy import deepcopy

    on_gpu = replace(checkpoint, backbone=deepcopy(checkpoint.backbone).to("cuda", torch.float16))
    given = replace(
        conditioning, positive=conditioning.positive.cuda(), negative=conditioning.negative.cuda()
    )
    start = StartLatent(torch.zeros(1, 64, frames, device="cuda"))
    few = replace(checkpoint.config.sampling, steps=6)
    plain = sample(on_gpu, given, start, sampling=few)
    graphed = sample(on_gpu, given, start, sampling=few, acceleration="graph")
    assert "No CUDA graph" not in caplog.text
    torch.testing.assert_close(graphed, plain)
