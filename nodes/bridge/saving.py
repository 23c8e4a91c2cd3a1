"""What ComfyUI's save nodes write of our objects, so that our loaders read it again."""

from dataclasses import replace
from math import isclose
from pathlib import Path
from typing import Any

import torch

from ...audiox_core.checkpoint.quantized import MARKER, OLDER
from ...audiox_core.checkpoint.saved_names import HOST_MODEL, HOST_VAE
from ...audiox_core.checkpoint.saving import conditioner_tensors, model_config
from ...audiox_core.checkpoint.weight_file import open_weights
from ...audiox_core.config import AudioXConfig

SCALES = tuple(f".{scale}" for scale in OLDER)


def with_range(config: AudioXConfig, sampling: Any) -> AudioXConfig:
    """The config with the range of the noise that a node may have changed.

    Args:
        config: of the model.
        sampling: ComfyUI's `model_sampling` of the model, patched.
    """
    if config.objective != "v":  # the range of a flow is always the same
        return config
    known = config.sampling
    low, high = float(sampling.sigma_min), float(sampling.sigma_max)  # rounded to float32
    if isclose(low, known.sigma_min, rel_tol=1e-6) and isclose(high, known.sigma_max, rel_tol=1e-6):
        return config
    return replace(config, sampling=replace(known, sigma_min=low, sigma_max=high))


def for_saving(
    state: dict[str, Any], config: AudioXConfig, path: Path, host: Any
) -> dict[str, Any]:
    """The tensors of a file.

    Args:
        state: ComfyUI's; with a VAE in it where the whole model is saved.
        config: of the model.
        path: the checkpoint that the model was made of; its conditioners are saved with a VAE.
        host: ComfyUI's config of the model.
    """
    for name in [n for n in state if n.startswith(HOST_MODEL) and n.endswith(SCALES)]:
        if state[f"{name.rpartition('.')[0]}.weight"].dtype.itemsize > 1:
            del state[name]  # 1: the layer is not quantized
    if (marker := HOST_MODEL + MARKER) in state:  # of ComfyUI 0.3.64
        elements = 0 if host.optimizations["fp8"] else 2  # 2: products in full precision
        state[marker] = torch.zeros(elements, dtype=state[marker].dtype)
    state |= model_config(config)
    vae = {
        n.removeprefix(HOST_VAE): tensor for n, tensor in state.items() if n.startswith(HOST_VAE)
    }
    if vae:
        state |= conditioner_tensors(open_weights(path), config, vae)
    return state
