"""Quantized models, computed by ComfyUI's own layers."""

import importlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from audiox_core.checkpoint.convert import convert
from audiox_core.checkpoint.layout import DIT
from audiox_core.checkpoint.quantized import settings_tensor
from audiox_core.checkpoint.scaled_float8 import SCALED_FLOAT8


@pytest.fixture(scope="module")
def mixed(comfy):
    """ComfyUI's layers for mixed precision, where it has them."""
    ops = importlib.import_module("comfy.ops")
    if not hasattr(ops, "mixed_precision_ops"):
        return None
    return importlib.import_module("comfy.quant_ops")


@pytest.fixture(scope="module")
def converted(family, comfy):
    """A tiny model as `convert --dtype float8_scaled` writes it: its name in the list."""

    def make(variant):
        path = family(variant).path
        target = path.with_name(f"f8-{variant}.safetensors")
        if not target.exists():
            convert([path], target, dtype=SCALED_FLOAT8)
            comfy.folder_paths.filename_list_cache.clear()
        return target.name

    return make


@pytest.fixture
def latents(node):
    def make(model, tiny, seconds=3.0):
        text = node("AudioXEncodeText", conditioners=tiny.conditioners, text="rain")
        positive, negative = node(
            "AudioXMaskedConditioning", conditioners=tiny.conditioners, text=text
        )
        latent = node("AudioXEmptyLatent", seconds=seconds)
        run = {"positive": positive, "negative": negative, "latent_image": latent, "steps": 2}
        return node("AudioXSampler", model=model, **run)["samples"]

    return make


VARIANT = pytest.mark.parametrize("variant", ["audiox", "audiox-maf", "audiox-turbo"])


@VARIANT
def test_a_converted_float8_model_computes_with_the_layers_of_comfyui(
    family, node, converted, latents, mixed, variant
):
    tiny = family(variant)
    model = node("AudioXLoadModel", file=converted(variant))
    host = model.model.model_config
    assert host.quant_config if mixed else host.scaled_fp8
    sizes = [m.model.state_dict() for m in (model, node("AudioXLoadModel", file=tiny.path.name))]
    assert sum(t.nbytes for t in sizes[0].values()) < 0.6 * sum(t.nbytes for t in sizes[1].values())
    # float32 numbers of the same file give the same latents
    plain = node("AudioXLoadModel", file=converted(variant), weight_dtype="float32")
    found, expected = (latents(m, tiny) for m in (model, plain))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    original = latents(tiny.model, tiny)
    error = (found - original).square().mean().sqrt() / original.square().mean().sqrt()
    assert 0 < error < 0.1


@VARIANT
def test_the_loader_quantizes_any_file_to_the_same_model(family, node, converted, variant):
    tiny = family(variant)
    made = node("AudioXLoadModel", file=tiny.path.name, weight_dtype="float8_scaled")
    read = node("AudioXLoadModel", file=converted(variant))
    found, expected = (m.model.state_dict() for m in (made, read))
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        if "transformer.layers" in name:
            assert torch.equal(found[name], tensor), name


def test_a_comfyui_without_such_layers_loads_float8_without_scales(
    family, node, pack, latents, monkeypatch, caplog
):
    quantized = importlib.import_module(f"{pack.__name__}.nodes.bridge.quantized")
    for name in ("MIXED", "SCALED"):
        monkeypatch.setattr(quantized, name, False)
    tiny = family("audiox")
    plain = node("AudioXLoadModel", file=tiny.path.name, weight_dtype="float8_e4m3fn")
    expected = latents(plain, tiny)
    made = node("AudioXLoadModel", file=tiny.path.name, weight_dtype="float8_scaled")
    assert torch.equal(latents(made, tiny), expected)
    assert "no layers for float8 with scales" in caplog.text


@VARIANT
def test_layers_that_are_moved_one_by_one_compute_the_same(
    family, node, converted, latents, variant
):
    tiny = family(variant)
    model = node("AudioXLoadModel", file=converted(variant))
    expected = latents(model, tiny)
    with torch.inference_mode():
        model.detach()
        model.load(torch.device("cpu"), lowvram_model_memory=1)
    assert torch.equal(latents(model, tiny), expected)


def test_a_reloaded_float8_model_is_the_same(family, node, converted):
    model = node("AudioXLoadModel", file=converted("audiox-turbo"))
    load, arguments = model.cached_patcher_init
    again = load(*arguments, disable_dynamic=True)
    before, after = (p.model.state_dict() for p in (model, again))
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    "how", ["float8_e4m3fn", "float8_e5m2", "int8_tensorwise", "nvfp4", "mxfp8"]
)
def test_each_newer_format_loads_or_is_refused_with_its_name(
    family, node, comfy, latents, mixed, how
):
    """Files as tools for newer ComfyUIs write them, for all linear layers of the blocks."""
    tiny = family("audiox")
    state, made = load_file(tiny.path), {}
    for name, weight in state.items():
        if not (name.startswith(f"{DIT}transformer.layers.") and weight.ndim == 2):
            made[name] = weight
            continue
        stem = name.removesuffix("weight")
        made |= quantize_with(mixed, how, stem, weight.float())
    target = tiny.path.with_name(f"newer-{how}.safetensors")
    with safe_open(tiny.path, "pt") as file:
        save_file(made, target, file.metadata())
    comfy.folder_paths.filename_list_cache.clear()
    if mixed is None and how in ("nvfp4", "mxfp8"):
        with pytest.raises(Exception, match=rf"as {how}, which only ComfyUI 0\.33"):
            node("AudioXLoadModel", file=target.name)
        return
    model = node("AudioXLoadModel", file=target.name)
    found, original = latents(model, tiny), latents(tiny.model, tiny)
    error = (found - original).square().mean().sqrt() / original.square().mean().sqrt()
    assert 0 < error < 0.5


def quantize_with(mixed, how, stem, weight):
    """The tensors of a layer in a newer layout; by ComfyUI itself where it can."""
    settings = {f"{stem}comfy_quant": settings_tensor({"format": how})}
    if mixed is not None:
        layout = mixed.QUANT_ALGOS[how]["comfy_tensor_layout"]
        tensor = (
            mixed.QuantizedTensor.from_float(weight, layout, scale="recalculate")
            if (how.startswith("float8"))
            else mixed.QuantizedTensor.from_float(weight, layout)
        )
        return {n: t.clone() for n, t in tensor.state_dict(f"{stem}weight").items()} | settings
    if how.startswith("float8"):
        dtype = getattr(torch, how)
        scale = weight.abs().max() / torch.finfo(dtype).max
        stored = (weight / scale).to(dtype)
    elif how == "int8_tensorwise":
        scale = weight.abs().max() / 127
        stored = (weight / scale).round().to(torch.int8)
    else:
        columns = weight.shape[1] // 2 if how == "nvfp4" else weight.shape[1]
        stored, scale = torch.zeros(len(weight), columns, dtype=torch.uint8), torch.tensor(1.0)
    return {f"{stem}weight": stored, f"{stem}weight_scale": scale} | settings
