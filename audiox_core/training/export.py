"""Trained weights -> files in the layout of the released ones, which the loader reads strictly."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoint.weight_file import Stored
from ..checkpoint.write import write_safetensors
from ..config import AudioXConfig


def write_vae(
    path: Path, state: Mapping[str, Tensor], model: AudioXConfig, record: Mapping[str, Any]
) -> Path:
    """A VAE alone, in float32, as `load_checkpoint(vae=…)` takes it."""
    tensors = unfold_weight_norm(state)
    stored = {name: Stored(tuple(t.shape), t.dtype) for name, t in tensors.items()}
    header = {"format": "pt", "audiox": model.to_json(), "trained": json.dumps(record)}
    write_safetensors(path, stored, tensors.__getitem__, header)
    return path


def unfold_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Plain weights of convolutions -> `weight_g`, `weight_v`: their lengths and themselves.

    The weights are trained as the modules hold them, without weight norm; the released layout
    knows them only so. The inverse of `models.oobleck.fold_weight_norm`.
    """
    unfolded = {}
    for name, tensor in state.items():
        if not name.endswith(".weight"):
            unfolded[name] = tensor
            continue
        weight = tensor.float()
        length = weight.flatten(1).norm(dim=1).view(-1, *[1] * (weight.ndim - 1))
        # of a weight of zeros any direction will do, but it needs one
        unfolded[f"{name}_g"] = length
        unfolded[f"{name}_v"] = torch.where(length > 0, weight, torch.ones_like(weight))
    return unfolded
