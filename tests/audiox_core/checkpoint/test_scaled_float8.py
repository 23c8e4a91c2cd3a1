"""`convert --dtype float8_scaled`: what is float8, and what comes back."""

import pytest
import torch
from safetensors.torch import load_file

from audiox_core import open_checkpoint
from audiox_core.checkpoint.convert import convert
from audiox_core.checkpoint.inspect import inspect
from audiox_core.checkpoint.layout import DIT
from audiox_core.checkpoint.quantized import dequantize, quantize
from audiox_core.checkpoint.scaled_float8 import SCALED_FLOAT8

LAYERS = f"{DIT}transformer.layers."


@pytest.fixture(params=["audiox", "audiox-turbo"])
def original(request, toys, tmp_path):
    return toys.write(toys.tiny(request.param), tmp_path / "toy.safetensors")


@pytest.fixture
def converted(original, tmp_path):
    return convert([original], tmp_path / "f8.safetensors", dtype=SCALED_FLOAT8).path


def test_only_weights_of_the_layers_are_float8(original, converted):
    found, before = load_file(converted), load_file(original)
    assert found[f"{DIT}scaled_fp8"].shape == (2,)
    matrices = {
        n for n, t in before.items()
        if n.startswith(LAYERS) and n.endswith(".weight") and t.squeeze().ndim > 1
    }  # fmt: skip
    assert {n for n, t in found.items() if t.dtype == torch.float8_e4m3fn} == {
        *matrices, f"{DIT}scaled_fp8",
    }  # fmt: skip
    for name in matrices:
        scale = found[name.removesuffix("weight") + "scale_weight"]
        expected = dequantize(*quantize(before[name]))
        assert torch.equal(dequantize(found[name], scale), expected)


def test_the_library_loads_its_numbers(original, converted):
    loaded = open_checkpoint(converted).load_backbone().state_dict()
    for name, weight in open_checkpoint(original).load_backbone().state_dict().items():
        if name.startswith("transformer.layers.") and weight.squeeze().ndim > 1:
            assert torch.equal(loaded[name], dequantize(*quantize(weight)))
        else:
            torch.testing.assert_close(loaded[name], weight, atol=1e-3, rtol=1e-3)


def test_it_is_inspected_and_converted_again(converted, tmp_path):
    report = inspect(converted, deep=True)
    assert report.complete
    assert set(report.quantized) == {"float8_e4m3fn"}
    assert report.not_finite == {}
    (transformer,) = [part for part in report.parts if part.name == "transformer"]
    assert transformer.dtypes["float8_e4m3fn"] == report.quantized["float8_e4m3fn"]
    backbone = open_checkpoint(converted).load_backbone().state_dict()
    for name, dtype in (("kept", None), ("plain", torch.float32), ("again", SCALED_FLOAT8)):
        made = convert([converted], tmp_path / f"{name}.safetensors", dtype=dtype)
        found = open_checkpoint(made.path)
        assert bool(found.weights.layers) == (name != "plain")
        for key, weight in found.load_backbone().state_dict().items():
            assert torch.equal(weight, backbone[key])
