"""Quantized layers: found in each layout of ComfyUI, and their numbers."""

import json

import pytest
import torch
from safetensors.torch import save_file

from audiox_core.checkpoint.quantized import LARGEST, dequantize, quantize, settings_tensor
from audiox_core.checkpoint.weight_file import open_weights
from audiox_core.errors import WeightsError

FLOAT8 = torch.float8_e4m3fn
NUMBERS = torch.tensor([[1.0, -2.0, 3.0], [0.5, 4.0, -8.0]])
SCALE = torch.tensor(0.25)


@pytest.fixture
def save(tmp_path):
    def run(state, **header):
        save_file(state, tmp_path / "model.safetensors", {"format": "pt", **header})
        return open_weights(tmp_path / "model.safetensors")

    return run


def settings(name="float8_e4m3fn", **more):
    return {"format": name, **more}


OLDER = {"scaled_fp8": torch.zeros(0, dtype=FLOAT8), "a.scale_weight": SCALE}
NEWER = {"a.comfy_quant": settings_tensor(settings()), "a.weight_scale": SCALE}
IN_HEADER = {"a.weight_scale": SCALE}


@pytest.mark.parametrize("beside", [OLDER, NEWER, IN_HEADER])
def test_a_float8_layer_is_read_as_numbers_in_each_layout(save, beside):
    header = {"_quantization_metadata": json.dumps({"layers": {"a": settings()}})}
    file = save(
        {"a.weight": NUMBERS.to(FLOAT8), "a.bias": torch.ones(2), **beside},
        **(header if beside is IN_HEADER else {}),
    )
    assert file.shapes == {"a.weight": (2, 3), "a.bias": (2,)}
    assert torch.equal(file.copy("a.weight"), NUMBERS * 0.25)
    assert torch.equal(file.read(["a.weight"])["a.weight"], NUMBERS * 0.25)


def test_the_stored_tensors_have_their_newer_names(save):
    packed = save({"a.weight": NUMBERS.to(FLOAT8), **OLDER}).packed
    assert set(packed.tensors) == {"a.weight", "a.weight_scale", "a.comfy_quant"}
    assert packed.copy("a.weight").dtype == FLOAT8
    assert packed.copy("a.weight_scale") == SCALE
    found = json.loads(packed.copy("a.comfy_quant").numpy().tobytes())
    assert found == {"format": "float8_e4m3fn"}


def test_a_marker_of_two_elements_asks_for_products_in_full_precision(save):
    file = save(
        {"a.weight": NUMBERS.to(FLOAT8), **OLDER, "scaled_fp8": torch.zeros(2, dtype=FLOAT8)}
    )
    assert file.layers["a.weight"].settings["full_precision_matrix_mult"] is True


def test_int8_with_a_scale_for_each_row_is_read_as_numbers(save):
    rows = torch.tensor([[0.5], [2.0]])
    state = {"a.weight": NUMBERS.trunc().to(torch.int8), "a.weight_scale": rows}
    file = save({**state, "a.comfy_quant": settings_tensor(settings("int8_tensorwise"))})
    assert torch.equal(file.copy("a.weight"), NUMBERS.trunc() * rows)


@pytest.mark.parametrize("how", ["nvfp4", "mxfp8", "convrot_w4a4"])
def test_what_only_comfyui_can_compute_with_is_named(save, how):
    halved = how != "mxfp8"
    state = {
        "a.weight": torch.zeros(2, 3, dtype=torch.uint8),
        "a.weight_scale": torch.ones(2, dtype=torch.uint8),
        "a.comfy_quant": settings_tensor(settings(how)),
    }
    file = save(state)
    assert file.shapes["a.weight"] == (2, 6 if halved else 3)
    with pytest.raises(WeightsError, match=rf"as {how}, which only ComfyUI 0\.33"):
        file.copy("a.weight")


def test_rotated_int8_is_left_to_comfyui(save):
    rotated = settings("int8_tensorwise", convrot=True)
    state = {"a.weight": torch.zeros(2, 3, dtype=torch.int8), "a.weight_scale": SCALE}
    file = save({**state, "a.comfy_quant": settings_tensor(rotated)})
    with pytest.raises(WeightsError, match="int8_tensorwise"):
        file.copy("a.weight")


def test_damaged_settings_are_one_sentence(save):
    broken = {"a.comfy_quant": torch.tensor([123, 1], dtype=torch.uint8), "a.weight_scale": SCALE}
    with pytest.raises(WeightsError, match="damaged or incomplete"):
        save({"a.weight": NUMBERS.to(FLOAT8), **broken})


def test_a_scale_is_a_power_of_two_and_changes_no_digits():
    draw = torch.Generator().manual_seed(0)
    weight = 0.02 * torch.randn(64, 64, generator=draw)
    stored, scale = quantize(weight)
    assert scale.log2() == scale.log2().round()
    assert LARGEST / 2 < stored.float().abs().max() <= LARGEST
    numbers = dequantize(stored, scale)
    for dtype in (torch.bfloat16, torch.float16):
        assert torch.equal(numbers.to(dtype).float(), numbers)
    error = (numbers - weight).square().mean().sqrt() / weight.square().mean().sqrt()
    assert error < 0.03  # half of the last of three digits, 2^-4 at most
    again, same = quantize(numbers)
    assert torch.equal(dequantize(again, same), numbers)


def test_a_weight_of_zeros_stays_zero():
    assert not dequantize(*quantize(torch.zeros(3, 3))).any()
