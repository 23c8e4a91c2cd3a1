"""Schemas that saved workflows rely on, and the VAE's interface."""

import ast
import inspect
import json
import textwrap
from pathlib import Path

import pytest
import torch

SAVED = Path(__file__).with_name("object_info.json")
# their options differ by machine
OPTIONS_OF_THE_HOST = {
    "file", "vae_file", "synchformer_file", "text_encoder_file", "sampler_name", "scheduler",
}  # fmt: skip


def reduced_input(name: str, kind: str | list, settings: dict) -> dict:
    """The properties of an input that a saved workflow depends on."""
    options = settings.get("options") or (kind if isinstance(kind, list) else None)
    kept = {"name": name, "type": "COMBO" if isinstance(kind, list) else kind}
    kept |= {key: settings[key] for key in ("default", "min", "max", "step") if key in settings}
    return kept | ({"options": options} if options and name not in OPTIONS_OF_THE_HOST else {})


def reduced(info: dict) -> dict:
    """A node of /object_info without its texts and without options that depend on the host."""
    inputs = {
        kind: [reduced_input(name, *info["input"][kind][name]) for name in names]
        for kind, names in info["input_order"].items()
        if kind != "hidden"
    }
    outputs = [list(pair) for pair in zip(info["output_name"], info["output"], strict=True)]
    return {"inputs": inputs, "outputs": outputs, "output_node": info["output_node"]}


def test_node_ids_inputs_and_outputs_match_the_saved_schemas(node):
    """Ids are permanent and widgets are only appended; `tests.write_workflows` writes the file."""
    found = {name: reduced(kind.GET_NODE_INFO_V1()) for name, kind in node.classes.items()}
    assert json.loads(json.dumps(found)) == json.loads(SAVED.read_text())


def test_the_vae_has_every_attribute_that_comfyui_reads(loaded):
    import comfy.sd

    tree = ast.parse(textwrap.dedent(inspect.getsource(comfy.sd.VAE)))
    methods = [f for f in tree.body[0].body if isinstance(f, ast.FunctionDef)]
    reads = {
        n.attr
        for method in methods if method.name != "__init__"
        for n in ast.walk(method)
        if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)
        and isinstance(n.value, ast.Name) and n.value.id == "self"
    }  # fmt: skip
    assert {"first_stage_model", "patcher", "vae_dtype"} <= reads
    assert not [name for name in sorted(reads) if not hasattr(loaded.vae, name)]


def test_every_method_of_the_vae_works(loaded):
    vae, draw = loaded.vae, torch.Generator().manual_seed(0)
    sound = 0.3 * torch.randn(1, 236 * 2048, 2, generator=draw)
    with torch.inference_mode():
        latent = vae.encode(sound)
        tiled = vae.encode_tiled(sound, tile_x=64 * 2048, tile_y=1, overlap=32 * 2048)
        whole = vae.decode(latent)
        pieces = vae.decode_tiled(latent, tile_x=128, tile_y=1, overlap=32)
    # ComfyUI blends tiles at their borders
    assert (latent - tiled).std() < 0.02 * latent.std()
    assert (whole - pieces).std() < 0.02 * whole.std()
    assert len(vae.get_sd()) > 100
    vae.throw_exception_if_invalid()
    assert vae.spacial_compression_decode() == vae.spacial_compression_encode() == 2048


@pytest.mark.parametrize("name", ["VAEDecodeAudioTiled", "VAEDecodeAudio"])
def test_native_decode_nodes_accept_our_vae(node, comfy, loaded, name):
    if name not in comfy.nodes.NODE_CLASS_MAPPINGS:
        pytest.skip(f"this ComfyUI has no {name}")
    latent = {"samples": torch.randn(2, 64, 236, generator=torch.Generator().manual_seed(0))}
    sizes = {"tile_size": 128, "overlap": 32} if name.endswith("Tiled") else {}
    sound = node(name, vae=loaded.vae, samples=latent, **sizes)
    assert sound["waveform"].shape == (2, 2, 236 * 2048)
    assert sound["sample_rate"] == 44_100
