"""The loader nodes: what they open, and the errors of wrong or missing files."""

import importlib
import shutil
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file


@pytest.fixture
def turbo(family, comfy):
    """The tiny Turbo's tensors and header, and where a changed one goes."""
    path = family("audiox-turbo").path
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    folder = path.parent / "broken"

    def write(name, change=dict, header=header, state=None):
        (folder / name).mkdir(parents=True, exist_ok=True)
        kept = change(load_file(path)) if state is None else state
        save_file(kept, folder / name / "model.safetensors", header)
        comfy.folder_paths.filename_list_cache.clear()
        return f"broken/{name}/model.safetensors"

    write.header, write.folder, write.path = header, folder, path
    return write


def without(prefix):
    return lambda state: {k: v for k, v in state.items() if not k.startswith(prefix)}


def test_a_missing_vae_is_named_with_its_command(node, turbo):
    name = turbo("no vae", without("pretransform."))
    with pytest.raises(Exception, match=r"vae\.ckpt.*no vae.*fetch audiox-turbo"):
        node("AudioXLoadCheckpoint", file=name)


def test_a_missing_synchformer_is_named_where_a_video_is_encoded(node, turbo, loaded):
    name = turbo("no sync", without("synchformer."))
    conditioners = node("AudioXLoadConditioners", file=name)
    node("AudioXEncodeText", conditioners=conditioners, text="rain")
    images = node("EmptyImage", width=32, height=32, batch_size=4, color=0)
    with pytest.raises(Exception, match=r"synchformer_state_dict\.pth.*models/audiox.*fetch sync"):
        node("AudioXEncodeVideo", conditioners=conditioners, images=images, fps=4.0)


def test_a_lora_in_a_loader_is_recognised(node, turbo):
    state = {"diffusion_model.transformer.layers.0.attn.qkv.lora_A.weight": torch.zeros(4, 64)}
    with pytest.raises(Exception, match="a LoRA"):
        node("AudioXLoadModel", file=turbo("lora", state=state, header={"format": "pt"}))


def test_an_incomplete_download_is_refused_with_the_command(node, comfy, turbo):
    name = turbo("half")
    path = turbo.folder / "half" / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Exception, match=r"damaged or incomplete.*half.*fetch"):
        node("AudioXLoadCheckpoint", file=name)


def test_a_gguf_is_listed_and_refused_with_an_alternative(node, comfy, turbo):
    (turbo.path.parent / "turbo.gguf").write_bytes(b"GGUF")
    comfy.folder_paths.filename_list_cache.clear()
    socket = node.classes["AudioXLoadCheckpoint"].define_schema().inputs[0]
    assert "turbo.gguf" in socket.options
    with pytest.raises(Exception, match=r"GGUF.*fetch"):
        node("AudioXLoadCheckpoint", file="turbo.gguf")


def test_a_vae_loads_from_a_checkpoint_of_an_unknown_variant(node, comfy, turbo):
    """Base and Turbo have the same tensors; their VAE needs no answer which it is."""
    name = turbo("anything", without(("synchformer.", "text_encoder.")), header={"format": "pt"})
    named = name.replace("model.", "m.")
    (turbo.folder.parent / name).rename(turbo.folder.parent / named)
    comfy.folder_paths.filename_list_cache.clear()
    assert node("AudioXLoadVAE", file=named).audiox_latents.hop_length == 2048


@pytest.fixture
def counted(pack, monkeypatch):
    """How often each file was opened, and how often a model was probed."""
    found = SimpleNamespace(opened=Counter(), probes=0)
    core = f"{pack.__name__}.audiox_core.checkpoint"
    file = importlib.import_module(f"{core}.checkpoint_file")
    open_weights, probe_objective = file.open_weights, file.probe_objective

    def count_opening(path):
        found.opened[str(path)] += 1
        return open_weights(path)

    def count_probe(*asked):
        found.probes += 1
        return probe_objective(*asked)

    for module in [m for name, m in sys.modules.items() if name.startswith(core)]:
        if hasattr(module, "open_weights"):
            monkeypatch.setattr(module, "open_weights", count_opening)
    monkeypatch.setattr(file, "probe_objective", count_probe)
    return found


@pytest.fixture
def nameless_mmdit(comfy, pack, toys):
    """A release of which nothing tells the variant; its name in the list."""
    path = toys.release("audiox-maf-mmdit", comfy.scratch / "models")
    folder = path.parents[1] / "somewhere"
    path.parent.rename(folder)
    comfy.folder_paths.filename_list_cache.clear()
    yield f"somewhere/{path.name}"
    shutil.rmtree(folder)
    shutil.rmtree(comfy.scratch / "models" / "text_encoders")


def test_loading_a_checkpoint_opens_each_file_once_and_probes_once(node, counted, nameless_mmdit):
    model, conditioners, _ = node("AudioXLoadCheckpoint", file=nameless_mmdit)
    assert model.model.audiox.variant == "audiox-maf-mmdit"
    assert set(counted.opened.values()) == {1}
    assert {Path(path).name for path in counted.opened} == {
        "model.ckpt", "model.safetensors", "synchformer_state_dict.pth",
    }  # fmt: skip
    assert counted.probes == 1
    assert "text" in conditioners.patchers


def test_a_model_that_comfyui_loads_again_is_not_probed_again(node, counted, nameless_mmdit):
    model, _, vae = node("AudioXLoadCheckpoint", file=nameless_mmdit)
    for patcher in (model, vae.patcher):
        load, arguments = patcher.cached_patcher_init
        again = load(*arguments, disable_dynamic=True)
        before, after = (p.model.state_dict() for p in (patcher, again))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
    assert counted.probes == 1


def test_the_variant_that_the_user_chooses_holds_for_every_part(node, counted, nameless_mmdit):
    model, conditioners, _ = node(
        "AudioXLoadCheckpoint", file=nameless_mmdit, variant="audiox-turbo"
    )
    assert (model.model.audiox.variant, conditioners.config.variant) == ("audiox-turbo",) * 2
    assert counted.probes == 0


def test_an_example_brings_a_video_its_picture_and_its_sound(node):
    video, image, audio = node("AudioXExample", which="ball")
    assert video.get_dimensions() == (384, 384)
    assert image.shape == (1, 384, 384, 3)
    assert 0.5 < image.max() <= 1
    assert audio["waveform"].shape == (1, 2, 441_000)
    assert audio["sample_rate"] == 44_100
