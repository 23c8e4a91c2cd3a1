"""A node pack for the tests: tiny random weights of Wan in the folders of a ComfyUI.

With AUDIOX_TEST_LIMIT in the environment, the memory that ComfyUI believes to be free holds one of
the two models, Wan or AudioX, and `loads.jsonl` records what it loads and unloads.
"""

import inspect
import json
import os
from pathlib import Path

import comfy.model_management as mm
import comfy.ops
import comfy.sd
import folder_paths
import torch
from comfy.ldm.wan.model import WanModel
from comfy.ldm.wan.vae import WanVAE
from safetensors.torch import save_file

MODELS = Path(folder_paths.models_dir)
MEGABYTE = 2**20
ROOM = 13 * MEGABYTE  # for the transformer of AudioX (11 MB) or that of Wan (5 MB)


def save(module: torch.nn.Module, path: Path) -> None:
    """Random weights of a module, as a file."""
    draw = torch.Generator().manual_seed(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {
        name: torch.randn(like.shape, generator=draw) / max(1, like[0].numel()) ** 0.5
        for name, like in module.state_dict().items()
    }
    save_file(weights, str(path))


class TinyWanText:
    """What CLIP Text Encode gives with the text encoder of Wan, which cannot be made tiny."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("CONDITIONING",), "run", "tests"

    @classmethod
    def INPUT_TYPES(cls) -> dict:  # noqa: N802
        return {"required": {"text": ("STRING", {})}}

    def run(self, text: str) -> tuple:
        draw = torch.Generator().manual_seed(len(text))
        return ([[torch.randn(1, 8, 4096, generator=draw), {}]],)


class LatentToImages:
    """A latent as images, where the host's VAE of Wan has one size only."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("IMAGE",), "run", "tests"

    @classmethod
    def INPUT_TYPES(cls) -> dict:  # noqa: N802
        return {"required": {"samples": ("LATENT", {})}}

    def run(self, samples: dict) -> tuple:
        latent = samples["samples"][0, :3].permute(1, 2, 3, 0)  # `t h w 3`
        frames = latent.repeat_interleave(4, 0)[3:].repeat_interleave(8, 1).repeat_interleave(8, 2)
        return (frames.sigmoid(),)


NODE_CLASS_MAPPINGS = {"TinyWanText": TinyWanText, "LatentToImages": LatentToImages}

OPS = {"operations": comfy.ops.disable_weight_init, "device": "cpu", "dtype": torch.float32}
save(
    WanModel(
        model_type="t2v", in_dim=16, out_dim=16, dim=128, num_heads=1, ffn_dim=256, freq_dim=256,
        text_dim=4096, num_layers=2, **OPS,
    ),
    MODELS / "diffusion_models" / "wan2.1_t2v_1.3B_fp16.safetensors",
)  # fmt: skip
if 'decoder.head.0.gamma"].shape' in inspect.getsource(comfy.sd.VAE.__init__):  # of any width
    vae = WanVAE(
        dim=8, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, attn_scales=[],
        temperal_downsample=[False, True, True],
    )  # fmt: skip
    save(vae, MODELS / "vae" / "wan_2.1_vae.safetensors")


def record(what: str, model: object) -> None:
    """One line of the log: what happens to which model, and which are loaded after it."""
    loaded = [type(m.model.model).__name__ for m in mm.current_loaded_models if m.model is not None]
    name = type(model.model.model).__name__
    line = {"what": what, "model": name, "loaded": loaded}
    with Path(os.environ["AUDIOX_TEST_LIMIT"]).open("a") as log:
        log.write(json.dumps(line) + "\n")


def limit_memory() -> None:
    """Let ComfyUI believe in a GPU with little memory: its own rule decides what goes."""
    limit = mm.minimum_inference_memory() + ROOM
    load, unload = mm.LoadedModel.model_load, mm.LoadedModel.model_unload

    def free(device: object = None, torch_free_too: bool = False) -> object:
        left = limit - sum(m.model_loaded_memory() for m in mm.current_loaded_models)
        return (left, left) if torch_free_too else left

    def loaded(model: object, *args: object, **kwargs: object) -> object:
        record("load", model)
        return load(model, *args, **kwargs)

    def unloaded(model: object, *args: object, **kwargs: object) -> object:
        record("unload", model)
        return unload(model, *args, **kwargs)

    mm.get_free_memory = free
    # load_models_gpu frees memory only of other devices than torch.device("cpu")
    mm.get_torch_device = lambda: torch.device("cpu", 0)
    mm.LoadedModel.model_load, mm.LoadedModel.model_unload = loaded, unloaded


if "AUDIOX_TEST_LIMIT" in os.environ:
    limit_memory()
