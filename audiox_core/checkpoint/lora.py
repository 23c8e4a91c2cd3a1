"""Low-rank adapters of a backbone (LoRA, arXiv 2106.09685): files, and adding one to the weights.

The names are those that ComfyUI's own loaders read: `diffusion_model.<layer>.lora_up.weight`,
`.lora_down.weight` and `.alpha`; `lora_B` and `lora_A` are other names of the first two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from ..models import Backbone
from .modules import check_numbers
from .weight_file import WeightFile, open_weights

PREFIX = "diffusion_model."
UP, DOWN, ALPHA = ".lora_up.weight", ".lora_down.weight", ".alpha"
PEFT = {".lora_B.weight": UP, ".lora_A.weight": DOWN}


@dataclass(frozen=True)
class Adapter:
    """What is added to one layer's weight: up @ down * alpha / rank."""

    up: Tensor  # `out rank`; of a convolution `out rank 1 …`
    down: Tensor  # `rank in`; of a convolution `rank in kernel …`
    alpha: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight that it is added to."""
        return (len(self.up), *self.down.shape[1:])

    def delta(self) -> Tensor:
        """What it adds at strength 1, `out in` or `out in kernel …`, float32."""
        product = self.up.flatten(1).float() @ self.down.flatten(1).float()
        return product.view(self.shape) * (self.alpha / len(self.down))


def merge_lora(model: Backbone, path: str | Path, strength: float = 1.0) -> int:
    """Add a LoRA to a backbone's weights; returns how many layers changed.

    Args:
        model: of a checkpoint; its layers get new weights of the same dtype.
        path: of the LoRA.
        strength: factor of the adapter; negative values subtract it.

    Raises:
        WeightsError: the file is not a LoRA, or one of another model.
    """
    adapters = read_lora(path)
    layers = dict(model.named_modules())
    for name, adapter in adapters.items():
        layer = layers.get(name)
        weight = getattr(layer, "weight", None)
        if layer is None or weight is None or tuple(weight.shape) != adapter.shape:
            found = "no such layer" if weight is None else f"shape {tuple(weight.shape)}"
            raise WeightsError(
                f"{Path(path).name} adapts '{name}' with shape {adapter.shape}, but the model has "
                f"{found}: choose a LoRA that was trained on this model."
            )
        delta = strength * adapter.delta().to(weight.device)
        merged = (weight.float() + delta).to(weight.dtype)
        layer.weight = nn.Parameter(merged, requires_grad=False)  # the old one may be a file's
    return len(adapters)


def read_lora(path: str | Path) -> dict[str, Adapter]:
    """Layer -> adapter of a LoRA file. Raises WeightsError where it is not one."""
    file = open_weights(path)
    names = _canonical(file)
    layers = [name.removesuffix(UP) for name in names if name.endswith(UP)]
    if not layers:
        raise WeightsError(
            f"{file.path.name} is not a LoRA for an AudioX model: it has no tensors "
            f"'{PREFIX}…{UP}'. Use a file that `python -m audiox_core train lora` wrote."
        )
    return {layer: _adapter(file, names, layer) for layer in layers}


def lora_tensors(adapters: Mapping[str, Adapter], dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors of a file: the inverse of `read_lora`."""
    tensors = {}
    for layer, adapter in adapters.items():
        tensors[f"{PREFIX}{layer}{UP}"] = adapter.up.to(dtype)
        tensors[f"{PREFIX}{layer}{DOWN}"] = adapter.down.to(dtype)
        tensors[f"{PREFIX}{layer}{ALPHA}"] = torch.tensor(adapter.alpha, dtype=torch.float32)
    return tensors


def _canonical(file: WeightFile) -> dict[str, str]:
    """Our name of every tensor of an adapter -> the file's."""
    names = {}
    for name in file.tensors:
        ours = name.removeprefix(PREFIX)
        for theirs, end in PEFT.items():
            if ours.endswith(theirs):
                ours = ours.removesuffix(theirs) + end
        names[ours] = name
    return names


def _adapter(file: WeightFile, names: Mapping[str, str], layer: str) -> Adapter:
    up, down, alpha = names[layer + UP], names.get(layer + DOWN), names.get(layer + ALPHA)
    if down is None:
        raise _invalid(file, up, f"but no matching '{DOWN}'")
    out_rank, rank_in = file.shapes[up], file.shapes[down]
    # only a matrix, or a convolution with one step in `up`, is a product of low rank
    if (
        len(out_rank) < 2
        or len(rank_in) < 2
        or out_rank[1] != rank_in[0]
        or prod(out_rank[2:]) != 1
    ):
        raise _invalid(file, down, f"of shape {rank_in}, which does not fit '{up}' {out_rank}")
    tensors = {name: check_numbers(file, name, file.copy(name)) for name in (up, down)}
    value = float(rank_in[0])
    if alpha is not None:
        numbers = file.copy(alpha).flatten()
        numbers = numbers if numbers.is_complex() else numbers.float()  # some write an integer
        check_numbers(file, alpha, numbers)
        value = numbers[0].item()
        if len(numbers) != 1 or value == 0:
            raise _invalid(
                file, alpha, f"of {numbers.tolist()[:3]}, but it must be one number, not 0"
            )
    return Adapter(tensors[up], tensors[down], value)


def _invalid(file: WeightFile, name: str, what: str) -> WeightsError:
    return WeightsError(f"{file.path.name} has '{name}' {what}: download it again.")
