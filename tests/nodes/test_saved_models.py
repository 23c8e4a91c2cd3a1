"""What ComfyUI's save nodes write of our objects loads again, to the same sound."""

import importlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from audiox_core.variants import VARIANTS

VARIANT_NAMES = list(VARIANTS)


@pytest.fixture(scope="module")
def folder(comfy, pack) -> Path:
    """Where our loaders look for models."""
    return comfy.scratch / "models" / "audiox"


@pytest.fixture
def save(comfy, node, folder):
    """Run one of ComfyUI's save nodes; the name of the new file in our folder."""

    def run(kind: str, **inputs) -> str:
        output = Path(comfy.folder_paths.get_output_directory())
        before = {*output.rglob("*.safetensors")}
        node(kind, filename_prefix="audiox-saved", **inputs)
        (made,) = {*output.rglob("*.safetensors")} - before
        target = folder / "saved" / f"{len(before)}-{made.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        made.rename(target)
        # its name may not tell the variant; the folder's neither
        comfy.folder_paths.filename_list_cache.clear()
        return f"saved/{target.name}"

    return run


@pytest.fixture(scope="module")
def clip(comfy, node):
    """A CLIP, which CheckpointSave demands."""
    sd = importlib.import_module("comfy.sd")

    class Nothing:
        def load_model(self):
            from comfy.model_patcher import ModelPatcher

            return ModelPatcher(torch.nn.Linear(1, 1), torch.device("cpu"), torch.device("cpu"))

        def get_sd(self):
            return {"t5base.transformer.shared.weight": torch.zeros(2, 2)}

        state_dict_for_saving = get_sd

    assert hasattr(sd, "CLIP")
    return Nothing()


@pytest.fixture
def sound(node):
    """Latents and sound of a model: `sound(model, conditioners, vae)`."""

    def make(model, conditioners, vae, **settings):
        text = node("AudioXEncodeText", conditioners=conditioners, text="rain")
        positive, negative = node("AudioXMaskedConditioning", conditioners=conditioners, text=text)
        empty = node("AudioXEmptyLatent", seconds=3.0)
        run = {"steps": 2, "seed": 3, **settings}
        latent = node(
            "AudioXSampler", model=model, positive=positive, negative=negative,
            latent_image=empty, **run,
        )  # fmt: skip
        return latent["samples"], node("AudioXDecode", vae=vae, latent=latent)["waveform"]

    return make


@pytest.fixture
def patched(node, comfy, folder):
    """A MODEL with a LoRA for every layer, by ComfyUI's own loader."""

    def run(model, strength=1.0):
        draw = torch.Generator().manual_seed(1)
        state = {}
        for name, weight in model.model.state_dict().items():
            if name.startswith("diffusion_model.transformer.layers.0.") and weight.ndim >= 2:
                stem = name.removesuffix(".weight")
                tail = weight.shape[2:]
                up = torch.randn(weight.shape[0], 2, *[1] * len(tail), generator=draw)
                state[f"{stem}.lora_up.weight"] = 0.05 * up
                down = torch.randn(2, *weight.shape[1:], generator=draw)
                state[f"{stem}.lora_down.weight"] = 0.05 * down
        loras = comfy.scratch / "models" / "loras"
        loras.mkdir(parents=True, exist_ok=True)
        comfy.folder_paths.add_model_folder_path("loras", str(loras))
        save_file(state, loras / "saved.safetensors")
        comfy.folder_paths.filename_list_cache.clear()
        return node(
            "LoraLoaderModelOnly", model=model, lora_name="saved.safetensors",
            strength_model=strength,
        )  # fmt: skip

    return run


def aligned(model):
    """The model with each weight in memory of its own.

    Weights that are mapped from a file begin at other addresses than copies. A CPU then adds in
    another order, and the latents differ by 5e-7.
    """
    copies = {name: weight.clone() for name, weight in model.model.state_dict().items()}
    with torch.inference_mode():
        model.model.load_state_dict(copies, assign=True)
    return model


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def assert_same_weights(found, expected):
    found, expected = (patcher.model.state_dict() for patcher in (found, expected))
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        assert found[name].dtype == weight.dtype, name
        assert torch.equal(found[name], weight), name


VARIANT = pytest.mark.parametrize("variant", VARIANT_NAMES)


@VARIANT
def test_a_saved_checkpoint_loads_whole_and_sounds_the_same(
    family, node, save, clip, sound, variant
):
    tiny = family(variant)
    name = save("CheckpointSave", model=tiny.model, clip=clip, vae=tiny.vae)
    model, conditioners, vae = node("AudioXLoadCheckpoint", file=name)
    assert model.model.audiox == tiny.model.model.audiox
    assert conditioners.config.variant == variant
    assert_same_weights(model, tiny.model)
    assert_same_weights(vae.patcher, tiny.vae.patcher)
    found = sound(aligned(model), conditioners, vae)
    assert_equal(found, sound(aligned(tiny.model), tiny.conditioners, tiny.vae))


@VARIANT
def test_a_saved_model_and_a_saved_vae_sound_the_same(family, node, save, sound, variant):
    tiny = family(variant)
    model = node("AudioXLoadModel", file=save("ModelSave", model=tiny.model))
    vae = node("AudioXLoadVAE", file=save("VAESave", vae=tiny.vae))
    assert model.model.audiox.variant == variant
    assert vae.audiox_latents == tiny.vae.audiox_latents
    found = sound(aligned(model), tiny.conditioners, vae)
    assert_equal(found, sound(aligned(tiny.model), tiny.conditioners, tiny.vae))


@VARIANT
def test_a_saved_model_has_its_lora_in_its_weights(family, node, save, patched, sound, variant):
    tiny = family(variant)
    model = node("AudioXLoadModel", file=save("ModelSave", model=patched(tiny.model)))
    expected = sound(patched(tiny.model), tiny.conditioners, tiny.vae)
    plain = sound(tiny.model, tiny.conditioners, tiny.vae)
    found = sound(model, tiny.conditioners, tiny.vae)
    assert not torch.allclose(expected[0], plain[0], atol=1e-2)
    torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1], expected[1], atol=1e-3, rtol=0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e4m3fn", "float8_scaled"])
@pytest.mark.parametrize("variant", ["audiox", "audiox-turbo"])
def test_a_saved_model_keeps_its_weight_dtype_bit_for_bit(family, node, save, variant, dtype):
    tiny = family(variant)
    model = node("AudioXLoadModel", file=tiny.path.name, weight_dtype=dtype)
    again = node("AudioXLoadModel", file=save("ModelSave", model=model), weight_dtype=dtype)
    assert_same_weights(again, model)


def test_a_patched_float8_model_sounds_the_same_after_saving(family, node, save, patched, sound):
    tiny = family("audiox-turbo")
    model = node("AudioXLoadModel", file=tiny.path.name, weight_dtype="float8_scaled")
    again = node("AudioXLoadModel", file=save("ModelSave", model=patched(model)))
    expected = sound(patched(model), tiny.conditioners, tiny.vae)[0]
    found = sound(again, tiny.conditioners, tiny.vae)[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_merged_models_load_again(family, node, save, patched, sound):
    tiny = family("audiox-maf-mmdit")
    merged = node("ModelMergeSimple", model1=tiny.model, model2=patched(tiny.model), ratio=0.5)
    again = node("AudioXLoadModel", file=save("ModelSave", model=merged))
    expected = sound(patched(tiny.model, 0.5), tiny.conditioners, tiny.vae)[0]
    found = sound(again, tiny.conditioners, tiny.vae)[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_a_changed_range_of_the_noise_is_saved(family, node, save):
    changed = node(
        "ModelSamplingContinuousV", model=family("audiox").model, sampling="v_prediction",
        sigma_max=200.0, sigma_min=0.1,
    )  # fmt: skip
    again = node("AudioXLoadModel", file=save("ModelSave", model=changed))
    sampling = again.model.audiox.sampling
    assert (sampling.sigma_min, sampling.sigma_max) == pytest.approx((0.1, 200.0))


def test_a_file_with_the_transformer_alone_names_the_loaders_of_the_other_parts(family, node, save):
    name = save("ModelSave", model=family("audiox-turbo").model)
    for loader in ("AudioXLoadCheckpoint", "AudioXLoadConditioners"):
        with pytest.raises(Exception, match=r"holds only the transformer.*AudioX Load Condit"):
            node(loader, file=name)
    with pytest.raises(Exception, match="an audio VAE alone"):
        node("AudioXLoadModel", file=save("VAESave", vae=family("audiox-turbo").vae))


def test_the_prompt_vae_of_a_checkpoint_is_kept_where_another_one_decodes(
    family, node, comfy, folder, save, clip, toys
):
    tiny = family("audiox-turbo")
    state = load_file(tiny.path)
    for name in [n for n in state if n.startswith("pretransform.")]:
        if name.endswith("bias"):
            state[name] = state[name] + 0.1
    save_file(state, folder / "other-vae.safetensors")
    comfy.folder_paths.filename_list_cache.clear()
    other = node("AudioXLoadVAE", file="other-vae.safetensors")
    name = save("CheckpointSave", model=tiny.model, clip=clip, vae=other)
    _, conditioners, vae = node("AudioXLoadCheckpoint", file=name)
    assert_same_weights(vae.patcher, other.patcher)
    prompts = conditioners.conditioners.audio.vae
    expected = tiny.vae.first_stage_model.oobleck.state_dict()
    for key, weight in prompts.state_dict().items():
        assert torch.equal(weight, expected[key].float())
