"""A LoRA of our own `train lora` in ComfyUI's own loader."""

import importlib
import sys

import pytest
import torch

from audiox_core import open_checkpoint
from audiox_core.checkpoint.checkpoint_file import EMBEDDED
from audiox_core.checkpoint.lora import merge_lora
from audiox_core.config import LatentConfig
from audiox_core.lab.world.source import WorldData
from audiox_core.models.mmdit import token_conv
from audiox_core.training.run import Job, run_job
from audiox_core.training.settings import read_settings
from audiox_core.windows import plan_frames

SETTINGS = {
    "data.source": "world", "data.clips": 2, "data.music": 0.0, "masks.patches": 0.0,
    "optim.lr": 3e-2, "optim.batch": 1, "run.steps": 20, "run.dtype": "float32", "lora.rank": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(comfy, tmp_path_factory) -> str:
    """The name of a LoRA of 20 steps, in a folder that ComfyUI looks into."""
    folder = tmp_path_factory.mktemp("loras")
    config = read_settings(None, SETTINGS.items())
    outcome = run_job(Job("lora", config, folder, init=EMBEDDED, data_source=WorldData))
    comfy.folder_paths.add_model_folder_path("loras", str(folder))
    return outcome.weights.name


@pytest.mark.parametrize("strength", [1.0, -0.5])
def test_a_lora_changes_the_model_as_merging_it_in_the_core_does(
    comfy, pack, node, loaded, trained, strength
):
    import comfy.model_management as mm

    backbone = importlib.import_module(f"{pack.__name__}.nodes.bridge.backbone")
    patched = node(
        "LoraLoaderModelOnly", model=loaded.model, lora_name=trained, strength_model=strength
    )
    core = open_checkpoint().load_backbone()
    draw = torch.Generator().manual_seed(0)
    x, tokens = torch.randn(1, 64, 236, generator=draw), torch.randn(1, 343, 96, generator=draw)
    with torch.inference_mode():
        before = core(x, torch.tensor([0.5]), tokens)
    assert merge_lora(core, comfy.folder_paths.get_full_path("loras", trained), strength) == 42
    mm.load_models_gpu([patched])
    with torch.inference_mode():
        merged = core(x, torch.tensor([0.5]), tokens)
        found = patched.model.diffusion_model(
            x, torch.tensor([0.5]), context=tokens[:, None],
            audiox_plan=plan_frames(LatentConfig(), 236),
            audiox_conditions=(backbone.Condition(null=False, hooked=False),),
        )  # fmt: skip
    torch.testing.assert_close(found, merged, atol=1e-4, rtol=1e-4)
    assert (found - before).abs().max() > 1e-2


def test_a_convolution_takes_a_lora_beside_it_as_in_its_weight(comfy):
    """Of the released wiring, with the class that the node LoRA Bypass puts around a layer."""
    bypass = pytest.importorskip(
        "comfy.weight_adapter.bypass", reason="this ComfyUI adds no LoRA beside a layer"
    )
    import comfy.ops
    from comfy.weight_adapter.lora import LoRAAdapter

    with torch.device("meta"):
        layer = token_conv(comfy.ops.disable_weight_init.Conv1d, 3)(4, 6, bias=False)
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 4, 3, generator=draw)
    up, down = torch.randn(6, 2, 1, generator=draw), torch.randn(2, 4, 3, generator=draw)
    layer.load_state_dict({"weight": weight}, assign=True)
    x = torch.randn(2, 4, 7, generator=draw)
    hook = bypass.BypassForwardHook(layer, LoRAAdapter(set(), (up, down, 2.0) + 3 * (None,)), 0.5)
    plain = layer(x)
    hook.inject()
    merged = weight + 0.5 * torch.einsum("or,rik->oik", up[..., 0], down)
    torch.testing.assert_close(layer(x), torch.nn.functional.conv1d(x, merged, padding=1))
    assert (layer(x) - plain).abs().max() > 1e-2


def test_the_nodes_import_nothing_of_training(pack):
    name = f"{pack.__name__}.audiox_core"
    assert f"{name}.models" in sys.modules
    assert not [module for module in sys.modules if module.startswith(f"{name}.training")]
