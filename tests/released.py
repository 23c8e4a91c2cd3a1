"""The released layout: a module's tensors under the names and shapes of the original file."""

from math import prod

from torch import nn

from audiox_core.checkpoint.layout import released_layout
from audiox_core.models.dit import DiT
from audiox_core.models.oobleck import Oobleck

__all__ = ["dit_layout", "elements", "oobleck_layout", "released_layout", "shapes_of"]

Shapes = dict[str, tuple[int, ...]]


def shapes_of(module: nn.Module) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def oobleck_layout(module: Oobleck) -> Shapes:
    """Weight norm unfolded again: a direction `weight_v` and a length `weight_g`."""
    layout: Shapes = {}
    for name, shape in shapes_of(module).items():
        if name.endswith(".weight"):
            layout[f"{name}_g"] = (shape[0], *[1] * (len(shape) - 1))
            layout[f"{name}_v"] = shape
        else:
            layout[name] = shape
    return layout


def dit_layout(module: DiT) -> Shapes:
    """The norms under their own names, and the rotary frequencies, which we compute."""
    theirs = {"weight": "gamma", "bias": "beta"}
    layout = {"transformer.rotary_pos_emb.inv_freq": (module.transformer.rotary_dim // 2,)}
    for name, shape in shapes_of(module).items():
        path, _, last = name.rpartition(".")
        layout[f"{path}.{theirs[last]}" if path.endswith("norm") else name] = shape
    return layout


def elements(layout: Shapes) -> int:
    return sum(prod(shape) for shape in layout.values())
