"""Trained weights -> files in the layout of the released ones, which the loader reads strictly."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoint.convert import cast, stored_as
from ..checkpoint.layout import AUDIO, AUDIO_VAE, DIT, MAF, TEXT, VAE, VIDEO, used
from ..checkpoint.weight_file import Stored
from ..checkpoint.write import write_safetensors
from ..config import AudioXConfig, DiTConfig
from ..models.oobleck import Oobleck

THEIRS = {"weight": "gamma", "bias": "beta"}  # names of a DiT's norms


@dataclass(frozen=True)
class ModelFile:
    """What a model's file holds beside the trained weights."""

    config: AudioXConfig  # all sizes, for the header
    vae: Oobleck  # that decodes
    dtype: torch.dtype  # of the matrices
    tokenizer: str | None  # as JSON, if the file holds the text encoder

    def write(self, path: Path, state: Mapping[str, Tensor], record: Mapping[str, Any]) -> Path:
        """Write a complete model, as `open_checkpoint` reads it.

        Args:
            path: of the file.
            state: of `Denoising`.
            record: how it was trained, for the header.

        Raises:
            WeightsError: the file cannot be written.
        """
        prefixes = {
            "model.": DIT,
            "conditioners.video.": VIDEO,
            "conditioners.audio.": AUDIO,
            "conditioners.maf.": MAF,
        }
        if self.tokenizer is not None:
            prefixes["conditioners.text.encoder."] = TEXT
        parts = {theirs: _below(state, ours) for ours, theirs in prefixes.items()}
        parts[AUDIO_VAE] = unfold_weight_norm(_below(parts[AUDIO], "vae."))
        parts[AUDIO] = {n: t for n, t in parts[AUDIO].items() if not n.startswith("vae.")}
        parts[VAE] = unfold_weight_norm(self.vae.state_dict())
        if isinstance(self.config.dit, DiTConfig):
            parts[DIT] = _released_norms(parts[DIT])
        tensors = {
            prefix + name: part[name].detach().cpu()
            for prefix, part in parts.items()
            for name in used(part)
        }
        stored = {
            name: stored_as(name, Stored(tuple(t.shape), t.dtype), self.dtype)
            for name, t in tensors.items()
        }
        header = {"format": "pt", "audiox": self.config.to_json(), "trained": json.dumps(record)}
        if self.tokenizer is not None:
            header["tokenizer"] = self.tokenizer
        write_safetensors(
            path, stored, lambda name: cast(tensors[name], stored[name].dtype, name), header
        )
        return path


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}


def _released_norms(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of the norms as released: the inverse of `models.dit.rename_norms`."""
    renamed = {}
    for name, tensor in state.items():
        path, _, last = name.rpartition(".")
        renamed[f"{path}.{THEIRS[last]}" if path.endswith("norm") else name] = tensor
    return renamed


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
