"""Patches inside the transformer, step caches, several devices and torch.compile."""

import importlib
import logging
import threading
from types import SimpleNamespace

import pytest
import torch

BOTH = pytest.mark.parametrize("variant", ["audiox", "audiox-base"])
LONG = 25.0  # seconds: three windows


@pytest.fixture
def graph(node, family):
    """A tiny model of a variant, sampled by KSampler with what patches its options."""

    def make(variant):
        parts = family(variant)
        text = node("AudioXEncodeText", conditioners=parts.conditioners, text="rain")
        positive, negative = node(
            "AudioXMaskedConditioning", conditioners=parts.conditioners, text=text
        )

        def run(patched=None, seconds=5.0, steps=2, cfg=3.0, entries=None, **options):
            model = (patched or parts.model).clone()
            model.model_options["transformer_options"].update(options)
            return node(
                "KSampler", model=model, negative=negative, seed=1, steps=steps,
                positive=[[tokens, {**facts, **(entries or {})}] for tokens, facts in positive],
                cfg=cfg, sampler_name="euler", scheduler="simple", denoise=1.0,
                latent_image=node("AudioXEmptyLatent", seconds=seconds),
            )["samples"]  # fmt: skip

        return SimpleNamespace(run=run, model=parts.model, path=parts.path)

    return make


def replaced(patch, block=0):
    return {"patches_replace": {"dit": {("double_block", block): patch}}}


@BOTH
def test_a_replaced_block_may_call_the_original_one(graph, variant):
    graph, seen = graph(variant), []

    def patch(args, extra):
        seen.append(set(args))
        return extra["original_block"](args)

    assert torch.equal(graph.run(**replaced(patch)), graph.run())
    assert seen == [{"img", "txt", "vec", "pe", "transformer_options"}] * 2


@BOTH
@pytest.mark.parametrize("key", ["img", "txt", "pe"])
def test_a_replaced_block_may_change_each_input(graph, variant, key):
    def half(value):
        if isinstance(value, torch.Tensor):
            return value / 2
        return (
            None
            if value is None
            else type(value)(*map(half, value))
            if hasattr(value, "_fields")
            else tuple(map(half, value))
        )

    def patch(args, extra):
        return extra["original_block"]({**args, key: half(args[key])})

    graph = graph(variant)
    assert not torch.equal(graph.run(**replaced(patch)), graph.run())


@BOTH
def test_options_of_a_block_describe_the_pieces_of_a_long_sound(graph, variant):
    graph, seen = graph(variant), []

    def patch(args, extra):
        options = args["transformer_options"]
        seen.append((len(args["img"]), options["cond_or_uncond"], len(options["uuids"])))
        return extra["original_block"](args)

    assert torch.equal(graph.run(seconds=LONG, **replaced(patch)), graph.run(seconds=LONG))
    assert all(items == len(parts) == uuids for items, parts, uuids in seen)
    assert sum(items for items, _, _ in seen) == 2 * 2 * 3  # steps, branches, windows


@BOTH
def test_an_attention_kernel_sees_the_options_of_the_run(graph, variant):
    graph, seen = graph(variant), []

    def kernel(original, *args, **kwargs):
        seen.append(kwargs["transformer_options"]["sigmas"].item())
        return original(*args, **kwargs)

    plain = graph.run()
    assert torch.equal(graph.run(optimized_attention_override=kernel), plain)
    assert len(set(seen)) == 2
    assert not graph.model.model.diffusion_model.host_attention.options

    def perturbed(_original, q, *_others, **_options):
        return q.transpose(1, 2).flatten(2)

    assert not torch.equal(graph.run(optimized_attention_override=perturbed), plain)


class Unknown:
    """A patch of some pack."""


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"patches": {"double_block": [Unknown()]}}, "Unknown .*'double_block'"),
        ({"patches": {"some_patch": [lambda x: x]}}, "'some_patch'"),
        ({"patches_replace": {"attn2": {("input", 1): Unknown()}}}, r"'attn2 \('input', 1\)'"),
        ({"patches_replace": {"dit": {("triple_block", 0): Unknown()}}}, "triple_block"),
    ],
)
def test_unknown_patches_are_refused_by_their_name(graph, options, names):
    with pytest.raises(Exception, match=f"{names}.* remove that node"):
        graph("audiox").run(**options)


def test_what_the_host_and_packs_note_in_the_options_is_allowed(graph):
    graph = graph("audiox")
    notes = {"patches": {"attn1_patch": []}, "patches_replace": {"attn2": {}}, "note": object()}
    assert torch.equal(graph.run(**notes), graph.run())


@pytest.mark.parametrize("entry", [torch.zeros(1, 3), [torch.zeros(1, 3)]], ids=["one", "list"])
def test_tensors_in_a_conditioning_that_only_other_models_read_are_refused(graph, entry):
    with pytest.raises(Exception, match="'vace_frames', which AudioX does not read"):
        graph("audiox").run(entries={"vace_frames": entry})


def test_notes_of_packs_in_a_conditioning_are_allowed(graph):
    graph = graph("audiox")
    assert torch.equal(graph.run(entries={"prompt": "rain", "numbers": [1, 2]}), graph.run())


@pytest.fixture
def calls(pack, monkeypatch):
    """Counts forwards of a network, and what is prepared for them."""
    cache = importlib.import_module(f"{pack.__name__}.audiox_core.pipeline.run_cache")
    counts = SimpleNamespace(forward=0, prepared=0)

    def counted(kind, name, field):
        original = getattr(kind, name)

        def call(self, *args, **kwargs):
            setattr(counts, field, getattr(counts, field) + 1)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(kind, name, call)

    for name, kind in (("dit", "DiT"), ("mmdit", "MMDiT")):
        module = importlib.import_module(f"{pack.__name__}.audiox_core.models.{name}")
        counted(getattr(module, kind), "forward", "forward")
        counted(getattr(module, kind), "prepare", "prepared")
    counts.cache = cache.RunCache
    return counts


EASY = {"reuse_threshold": 3.0, "start_percent": 0.0, "end_percent": 1.0, "verbose": False}


@BOTH
@pytest.mark.parametrize("name", ["EasyCache", "LazyCache"])
def test_a_step_cache_skips_forwards(node, graph, calls, variant, name, monkeypatch):
    graph = graph(variant)
    model = node(name, model=graph.model, **EASY)
    made = graph.run(model, steps=8, seconds=LONG)
    assert made.isfinite().all()
    # three windows of two branches, two pieces at once on a CPU
    skipping, prepared = calls.forward, calls.prepared
    monkeypatch.setattr(calls.cache, "get", lambda _self, _key, _device, prepare: prepare())
    assert torch.equal(graph.run(model, steps=8, seconds=LONG), made)
    assert calls.forward == 2 * skipping
    graph.run(steps=8, seconds=LONG)
    assert 0 < skipping < (calls.forward - 2 * skipping) * 0.7
    assert prepared <= skipping // 2


@BOTH
def test_branches_on_two_devices_have_a_cache_each(comfy, node, graph, calls, variant, monkeypatch):
    if "MultiGPU_WorkUnits" not in comfy.nodes.NODE_CLASS_MAPPINGS:
        pytest.skip("this ComfyUI uses one GPU for a run")
    graph, plain = graph(variant), None
    plain = graph.run(steps=4)
    calls.prepared, threads, get = 0, set(), calls.cache.get

    def of_thread(self, key, _device, prepare):
        """A thread in place of the GPU that it would compute on."""
        threads.add(threading.get_ident())
        return get(self, key, threading.get_ident(), prepare)

    monkeypatch.setattr(calls.cache, "get", of_thread)
    model = graph.model.clone()
    second = model.deepclone_multigpu(new_load_device=torch.device("cpu:0"))  # another key
    second.is_multigpu_base_clone = True
    model.set_additional_models("multigpu", [second])
    made = graph.run(model, steps=4)
    torch.testing.assert_close(made, plain, rtol=1e-3, atol=1e-3)
    assert len(threads) == 2
    assert calls.prepared == 2


@BOTH
def test_a_compiled_model_gives_the_same_and_says_once_that_it_compiles(
    comfy, graph, variant, caplog, monkeypatch
):
    """By torch's tracing alone: a C++ compiler takes minutes."""
    compile_ = importlib.import_module("comfy_api.torch_helpers").set_torch_compile_wrapper
    utils = importlib.import_module("comfy_execution.utils")
    server = importlib.import_module("server").PromptServer.instance
    shown = []
    monkeypatch.setattr(server, "send_progress_text", lambda *given: shown.append(given))
    graph = graph(variant)
    model = graph.model.clone()
    compile_(model=model, backend="eager")
    caplog.set_level(logging.INFO)
    with utils.CurrentNodeContext("prompt", "7"):
        made = [graph.run(model) for _ in range(2)]
    torch.testing.assert_close(made[0], graph.run(), rtol=1e-3, atol=1e-3)
    assert torch.equal(*made)
    assert [node for _, node in shown] == ["7"]
    assert sum("Compiling the model" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("variant", ["audiox"])
def test_cfg_rescale_never_replaces_the_guidance_of_another_node(node, pack, graph, variant):
    model = graph(variant).model
    renormed = node("RenormCFG", model=model, cfg_trunc=100.0, renorm_cfg=0.5)
    rescaled = node("RescaleCFG", model=model, multiplier=0.7)
    sampling = importlib.import_module(f"{pack.__name__}.nodes.bridge.sampling")
    with pytest.raises(Exception, match=r"RenormCFG and cfg_rescale .* both decide"):
        sampling.with_rescale(renormed, 0.5)
    with pytest.raises(Exception, match="RescaleCFG is made for pictures"):
        sampling.with_rescale(rescaled, 0.5)
    assert sampling.with_rescale(renormed, 0.0) is renormed
