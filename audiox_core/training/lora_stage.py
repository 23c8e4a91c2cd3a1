"""The stage `lora`: low-rank adapters for layers of a transformer; all other weights are fixed."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoint.checkpoint_file import Checkpoint
from ..checkpoint.lora import Adapter, lora_tensors
from ..checkpoint.weight_file import Stored
from ..checkpoint.write import write_safetensors
from ..errors import SettingsError, shown
from .batches import Batches
from .config import LoraConfig, TrainConfig
from .diffusion_stage import Denoising, DiffusionStage
from .distributed import Distributed
from .rng import seeded


class LowRank(nn.Module):
    """What an adapter adds to the output of its layer; zero at first."""

    def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.scale = alpha / rank
        self.down = nn.Linear(layer.in_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """x `... in` -> `... out`."""
        return self.up(self.down(x)) * self.scale


class Adapted(Denoising):
    """A frozen model with an adapter for each of its layers that fit a pattern."""

    def __init__(self, checkpoint: Checkpoint, config: LoraConfig, seed: int) -> None:
        super().__init__(checkpoint.backbone, checkpoint.conditioners, checkpoint.config.objective)
        self.requires_grad_(False)
        self.alpha = config.alpha or float(config.rank)
        layers = adapted_layers(checkpoint.backbone, config.pattern)
        self.layers = [*layers]
        with seeded(seed):
            self.adapters = nn.ModuleList(
                LowRank(layer, config.rank, self.alpha) for layer in layers.values()
            )
        for layer, adapter in zip(layers.values(), self.adapters, strict=True):
            layer.register_forward_hook(
                lambda _layer, inputs, output, adapter=adapter: output + adapter(inputs[0])
            )


def adapted_layers(model: nn.Module, pattern: str) -> dict[str, nn.Linear]:
    """The linear layers whose names match a regular expression.

    Raises:
        SettingsError: the pattern is invalid, or matches no layer.
    """
    try:
        expression = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise SettingsError(
            f"lora.pattern {shown(pattern)} is not a regular expression: {error}."
        ) from None
    linear = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    found = {name: layer for name, layer in linear.items() if expression.search(name)}
    if not found:
        raise SettingsError(
            f"lora.pattern {shown(pattern)} matches no layer; some layers are "
            f"{', '.join([*linear][:4])}."
        )
    return found


class LoraStage(DiffusionStage):
    """Batches of cached clips, adapters that learn from them, and their file."""

    def __init__(
        self, checkpoint: Checkpoint, batches: Batches, config: TrainConfig, dist: Distributed
    ) -> None:
        self.batches, self.device = batches, dist.device
        self.dtype = getattr(torch, config.run.dtype)
        self.variant = checkpoint.variant
        self.module = Adapted(checkpoint, config.lora, config.run.seed).eval().to(dist.device)

    def save(self, folder: Path, weights: Mapping[str, Tensor], record: Mapping[str, Any]) -> Path:
        """Write `lora.safetensors`."""
        adapters = {}
        for number, layer in enumerate(self.module.layers):
            up, down = (
                weights[f"adapters.{number}.{part}.weight"].detach().cpu()
                for part in ("up", "down")
            )
            adapters[layer] = Adapter(up, down, self.module.alpha)
        tensors = lora_tensors(adapters, self.dtype)
        stored = {name: Stored(tuple(t.shape), t.dtype) for name, t in tensors.items()}
        header = {"format": "pt", "variant": self.variant, "trained": json.dumps(record)}
        path = folder / "lora.safetensors"
        write_safetensors(path, stored, tensors.__getitem__, header)
        return path
