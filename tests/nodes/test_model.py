"""The MODEL under ComfyUI's memory manager: precisions, partial loading, LoRA, patches."""

import importlib
from types import SimpleNamespace

import pytest
import torch

from audiox_core.config import LatentConfig
from audiox_core.lab.bench.memory import LiveBytes
from audiox_core.windows import plan_frames

VARIED = pytest.mark.parametrize("variant", ["audiox", "audiox-maf", "audiox-turbo"])


@pytest.fixture
def velocity(pack):
    """One forward of a part with a condition and one without, in the model's own precision."""
    backbone = importlib.import_module(f"{pack.__name__}.nodes.bridge.backbone")

    def made(model, device, *nulls):
        dit, config = model.model.diffusion_model, model.model.audiox
        draw = torch.Generator().manual_seed(0)
        x = torch.randn(1, 64, 236, generator=draw)
        tokens = torch.randn(1, 1, config.tokens, config.dit.cond_dim, generator=draw)
        dtype, parts = model.model.manual_cast_dtype or dit.dtype, len(nulls)
        x, tokens, time = (i.to(device, dtype) for i in (x, tokens, torch.full((1,), 0.5)))
        rows = [tokens * (0 if null else 1) for null in nulls]
        return dit(
            x.expand(parts, -1, -1), time.float().expand(parts), context=torch.cat(rows),
            audiox_plan=plan_frames(LatentConfig(), 236),
            audiox_conditions=tuple(backbone.Condition(n, False) for n in nulls),
        ).float()  # fmt: skip

    def compute(model, device="cpu"):
        with torch.inference_mode():
            both, null = made(model, device, False, True), made(model, device, True)
        if device != "meta":
            torch.testing.assert_close(both[1:], null, rtol=0.02, atol=0.02)  # however batched
            assert not torch.equal(both[:1], null)
        return both

    return compute


@pytest.fixture
def loaded_velocity(velocity):
    """The same, where ComfyUI's manager has loaded it."""
    import comfy.model_management as mm

    def compute(model):
        mm.load_models_gpu([model])
        return velocity(model)

    return compute


@VARIED
@pytest.mark.parametrize(
    ("dtype", "allowed"), [("float16", 0.01), ("bfloat16", 0.06), ("float8_e4m3fn", 0.3)]
)
def test_lower_precisions_give_nearly_the_same_output(
    node, family, loaded_velocity, variant, dtype, allowed
):
    parts = family(variant)
    exact = loaded_velocity(parts.model)
    small = node("AudioXLoadModel", file=parts.path.name, weight_dtype=dtype)
    stored = {w.dtype for w in small.model.diffusion_model.transformer.parameters()}
    assert getattr(torch, dtype) in stored
    error = (loaded_velocity(small) - exact).std() / exact.std()
    assert error < allowed


@pytest.fixture
def patched(node, family):
    """A MODEL of its own with a LoRA on every matrix of its first block."""

    def make(variant, dtype="float32"):
        model = node("AudioXLoadModel", file=family(variant).path.name, weight_dtype=dtype)
        draw = torch.Generator().manual_seed(0)
        patches = {
            f"diffusion_model.{name}": ("diff", (0.1 * torch.randn(w.shape, generator=draw),))
            for name, w in model.model.diffusion_model.named_parameters()
            if name.startswith("transformer.layers.0.") and w.ndim > 1
        }
        model = model.clone()
        assert len(model.add_patches(patches)) == len(patches) > 3
        return model

    return make


@VARIED
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_partly_loaded_model_with_a_lora_computes_the_same(patched, velocity, variant, dtype):
    model = patched(variant, dtype)
    model.patch_model(torch.device("cpu"))
    whole = velocity(model)
    model.unpatch_model()
    plain = velocity(model)
    model.patch_model(load_weights=False)
    for budget in (1, 100_000):
        model.load(torch.device("cpu"), lowvram_model_memory=budget)
        part = velocity(model)
        assert (part - whole).abs().max() <= (1e-5 if dtype == "float32" else 0.05) * whole.std()
        assert (part - plain).abs().max() > 0.1 * whole.std()


@VARIED
@pytest.mark.parametrize("budget", [1, 100_000])
def test_every_weight_is_used_on_a_gpu_with_little_memory(patched, velocity, variant, budget):
    """On the meta device a tensor that stayed on the CPU raises where a GPU would."""
    from audiox_core.models.attention import torch_attention

    model = patched(variant)
    for module in model.model.diffusion_model.modules():
        if hasattr(module, "attention"):
            # ComfyUI's asks the device for its memory, which meta has not
            module.attention = torch_attention
    model.load(torch.device("meta"), lowvram_model_memory=budget)
    assert velocity(model, device="meta").shape == (2, 64, 236)


@VARIED
def test_layers_have_no_weights_before_they_are_loaded(
    node, family, loaded_velocity, variant, monkeypatch
):
    """As newer ComfyUI builds them on a GPU: nothing may look at a weight before."""
    memory = pytest.importorskip("comfy.memory_management", reason="no lazy layers in this one")
    exact = loaded_velocity(family(variant).model)
    monkeypatch.setattr(memory, "aimdo_enabled", True)
    lazy = node("AudioXLoadModel", file=family(variant).path.name)
    monkeypatch.undo()
    assert torch.equal(loaded_velocity(lazy), exact)


def test_a_lora_of_either_key_style_changes_the_model_and_can_be_removed(
    node, comfy, loaded, loaded_velocity, tmp_path
):
    from safetensors.torch import save_file

    folder = tmp_path / "loras"
    folder.mkdir()
    comfy.folder_paths.add_model_folder_path("loras", str(folder))
    path = "transformer.layers.0.self_attn.to_out"
    weight = loaded.model.model.diffusion_model.transformer.layers[0].self_attn.to_out.weight
    flat = path.replace(".", "_")
    down, up = torch.randn(2, weight.shape[1]), torch.randn(weight.shape[0], 2)
    before = loaded_velocity(loaded.model)
    made = []
    for name, keys in {
        "peft": (f"diffusion_model.{path}.lora_A.weight", f"diffusion_model.{path}.lora_B.weight"),
        "kohya": tuple(f"lora_unet_{flat}.lora_{d}.weight" for d in ("down", "up")),
    }.items():
        save_file(dict(zip(keys, (down, up), strict=True)), folder / f"{name}.safetensors")
        patched = node("LoraLoaderModelOnly", model=loaded.model, lora_name=f"{name}.safetensors",
                       strength_model=1.0)  # fmt: skip
        made.append(loaded_velocity(patched))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], before)
    assert torch.equal(loaded_velocity(loaded.model), before)


def test_an_exchanged_attention_kernel_is_used(node, loaded, branches):
    model = loaded.model.clone()
    calls = []

    def kernel(original, *args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    model.model_options["transformer_options"]["optimized_attention_override"] = kernel
    positive, negative = branches()
    latent = node("AudioXEmptyLatent", seconds=1.0)
    node("KSampler", model=model, positive=positive, negative=negative, latent_image=latent, seed=0,
         steps=1, cfg=1.0, sampler_name="euler", scheduler="exponential", denoise=1.0)  # fmt: skip
    blocks = len(model.model.diffusion_model.transformer.layers)
    assert len(calls) == 2 * blocks


def test_memory_is_bounded_in_the_length(loaded, pack, monkeypatch):
    need = loaded.model.model.memory_required
    assert need([2, 64, 236]) < need([2, 64, 969]) < need([2, 64, 10_000])
    memory = importlib.import_module(f"{pack.__name__}.nodes.bridge.memory")
    monkeypatch.setattr(memory, "LIMIT_BYTES", 1_000)
    assert need([2, 64, 236]) < need([2, 64, 969]) == need([2, 64, 10_000])
    assert plan_frames(loaded.model.model.audiox.latent, 10_000).windows > 40


@torch.no_grad()
@pytest.mark.parametrize("variant", ["audiox-turbo", "audiox"])
def test_memory_covers_a_step_at_the_released_size(pack, variant):
    """Counted on the meta device, which holds no numbers; the prepared condition included."""
    core, model = (f"{pack.__name__}.{name}" for name in ("audiox_core", "nodes.bridge.model"))
    config = importlib.import_module(f"{core}.variants").VARIANTS[variant]
    backbone = importlib.import_module(f"{core}.models").backbone
    half = SimpleNamespace(audiox=config, manual_cast_dtype=None, get_dtype=lambda: torch.float16)
    need = importlib.import_module(model).AudioXModel.memory_required(half, [8, 64, 236])
    with torch.device("meta"):
        network = backbone(config.dit).half()
        x, tokens = torch.zeros(8, 64, 236), torch.zeros(1, config.tokens, config.dit.cond_dim)
        with LiveBytes() as bytes_:
            prepared = network.prepare(tokens.half(), [0] * 4 + [None] * 4)
            network(x.half(), torch.zeros(8), prepared)
    assert 0.5 * need < bytes_.peak < need


def test_a_model_of_another_kind_is_refused(node, branches):
    import types

    positive, negative = branches()
    inputs = {"positive": positive, "negative": negative}
    inputs["model"] = types.SimpleNamespace(model=types.SimpleNamespace())
    inputs["latent_image"] = node("AudioXEmptyLatent", seconds=1.0)
    with pytest.raises(Exception, match="connect AudioX Load Checkpoint"):
        node("AudioXSampler", **inputs)
