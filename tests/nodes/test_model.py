"""The MODEL under ComfyUI's memory manager: precisions, partial loading, LoRA, patches."""

import pytest
import torch

from audiox_core.windows import plan_frames


def velocity(node, model, windows=1):
    """One forward, as a sampler asks for it, in the model's own precision."""
    import comfy.model_management as mm

    mm.load_models_gpu([model])
    dit = model.model.diffusion_model
    frames = 236 + 193 * (windows - 1)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 64, frames, generator=generator)
    tokens = torch.randn(1, windows, 471, 64, generator=generator)
    dtype = model.model.manual_cast_dtype or dit.dtype
    with torch.inference_mode():
        out = dit(x.to(dtype), torch.full((1,), 0.5), context=tokens.to(dtype),
                  audiox_frames=frames)  # fmt: skip
    return out.float()


@pytest.mark.parametrize(
    ("dtype", "allowed"), [("float16", 0.01), ("bfloat16", 0.06), ("float8_e4m3fn", 0.3)]
)
def test_a_smaller_precision_is_near(node, loaded, dtype, allowed):
    exact = velocity(node, loaded.model)
    small = node("AudioXLoadModel", file="embedded", weight_dtype=dtype)
    error = (velocity(node, small) - exact).std() / exact.std()
    assert error < allowed


@pytest.mark.parametrize("budget", [1, 300_000, 1_000_000])
def test_a_partly_loaded_model_computes_the_same(node, budget):
    model = node("AudioXLoadModel", file="embedded")
    whole = velocity(node, model)
    model.unpatch_model()
    model.patch_model(load_weights=False)
    model.load(torch.device("cpu"), lowvram_model_memory=budget)
    part = model.model.diffusion_model
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 64, 236, generator=generator)
    tokens = torch.randn(1, 1, 471, 64, generator=generator)
    with torch.inference_mode():
        again = part(x, torch.full((1,), 0.5), context=tokens, audiox_frames=236)
    assert torch.equal(again, whole)


@pytest.mark.parametrize("budget", [1, 300_000])
def test_no_weight_is_left_behind_on_a_small_gpu(node, budget):
    """On the meta device a tensor that stayed on the CPU raises where a GPU would."""
    from audiox_core.models.attention import torch_attention

    model = node("AudioXLoadModel", file="embedded")
    for block in model.model.diffusion_model.transformer.layers:
        # ComfyUI's asks the device for its memory, which meta has not
        block.self_attn.attention = block.cross_attn.attention = Kernel(torch_attention)
    model.load(torch.device("meta"), lowvram_model_memory=budget)
    x, tokens = (torch.empty(s, device="meta") for s in ((1, 64, 236), (1, 1, 471, 64)))
    out = model.model.diffusion_model(
        x, torch.empty(1, device="meta"), context=tokens, audiox_frames=236
    )
    assert out.shape == x.shape


class Kernel:
    """A kernel with the `options` of ours."""

    def __init__(self, attention) -> None:
        self.attention, self.options = attention, {}

    def __call__(self, q, k, v):
        return self.attention(q, k, v)


def test_a_lora_of_either_key_style_changes_the_model_and_goes_again(node, comfy, loaded, tmp_path):
    from safetensors.torch import save_file

    folder = tmp_path / "loras"
    folder.mkdir()
    comfy.folder_paths.add_model_folder_path("loras", str(folder))
    path = "transformer.layers.0.self_attn.to_out"
    weight = loaded.model.model.diffusion_model.transformer.layers[0].self_attn.to_out.weight
    flat = path.replace(".", "_")
    down, up = torch.randn(2, weight.shape[1]), torch.randn(weight.shape[0], 2)
    before = velocity(node, loaded.model)
    made = []
    for name, keys in {
        "peft": (f"diffusion_model.{path}.lora_A.weight", f"diffusion_model.{path}.lora_B.weight"),
        "kohya": tuple(f"lora_unet_{flat}.lora_{d}.weight" for d in ("down", "up")),
    }.items():
        save_file(dict(zip(keys, (down, up), strict=True)), folder / f"{name}.safetensors")
        patched = node("LoraLoaderModelOnly", model=loaded.model, lora_name=f"{name}.safetensors",
                       strength_model=1.0)  # fmt: skip
        made.append(velocity(node, patched))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], before)
    assert torch.equal(velocity(node, loaded.model), before)


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


def test_memory_is_flat_in_the_length(loaded):
    need = loaded.model.model.memory_required
    assert need([2, 64, 236]) < need([2, 64, 969]) == need([2, 64, 10_000])
    assert plan_frames(loaded.model.model.audiox.latent, 10_000).windows > 40


def test_a_model_of_another_kind_is_refused(node, branches):
    import types

    positive, negative = branches()
    inputs = {"positive": positive, "negative": negative}
    inputs["model"] = types.SimpleNamespace(model=types.SimpleNamespace())
    inputs["latent_image"] = node("AudioXEmptyLatent", seconds=1.0)
    with pytest.raises(Exception, match="connect AudioX Load Checkpoint"):
        node("AudioXSampler", **inputs)
