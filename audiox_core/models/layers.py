"""Small layers that several transformers share."""

from collections.abc import Iterator
from math import pi
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

Layer = TypeVar("Layer", bound=nn.Module)


class Layers(nn.ModuleList, Generic[Layer]):
    """`nn.ModuleList` of one type of module, so that a type checker knows what is in it."""

    if TYPE_CHECKING:

        def __getitem__(self, index: int) -> Layer:
            """The module at an index."""
            ...

        def __iter__(self) -> Iterator[Layer]:
            """The modules in order."""
            ...


class FourierFeatures(nn.Module):
    """Time in [0, 1] as cosines and sines of learned frequencies, `b` -> `b 2f` float32."""

    def __init__(self, frequencies: int) -> None:
        super().__init__()
        # float32 whatever the model's dtype: in half precision neighbouring times coincide
        self.weight = nn.Parameter(torch.empty(frequencies, 1, dtype=torch.float32))

    def forward(self, t: Tensor) -> Tensor:
        """Cosines first, then sines."""
        angles = 2 * pi * t.float()[:, None] * self.weight.to(t.device, torch.float32).T
        return torch.cat([angles.cos(), angles.sin()], dim=-1)


def gated(value: Tensor, gate: Tensor) -> Tensor:
    """value * silu(gate); without gradients it is written into the memory of `gate`."""
    if torch.is_grad_enabled():
        return value * silu(gate)
    return silu(gate, inplace=True).mul_(value)


class GatedLinear(nn.Module):
    """One projection, split in value and gate: value * silu(gate)."""

    def __init__(self, dim: int, inner: int, *, ops: Any = nn) -> None:
        super().__init__()
        self.proj = ops.Linear(dim, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        """`... dim` -> `... inner`."""
        value, gate = self.proj(x).chunk(2, dim=-1)
        return gated(value, gate)


class FeedForward(nn.Module):
    """Gated feed-forward, `b l dim` -> `b l dim`."""

    def __init__(self, dim: int, mult: int, *, ops: Any = nn) -> None:
        super().__init__()
        inner = dim * mult
        # the Identity stands where the checkpoint counts a dropout layer
        self.ff = nn.Sequential(
            GatedLinear(dim, inner, ops=ops), nn.Identity(), ops.Linear(inner, dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x `b l dim` -> `b l dim`."""
        return self.ff(x)


def embedding_mlp(dim_in: int, dim: int, *, bias: bool, ops: Any = nn) -> nn.Sequential:
    """Linear, SiLU, Linear: embeds times, conditions and global conditions.

    Args:
        dim_in, dim: width of the input and of the result.
        bias: whether both layers have one.
        ops: namespace of the layers.
    """
    return nn.Sequential(
        ops.Linear(dim_in, dim, bias=bias), nn.SiLU(), ops.Linear(dim, dim, bias=bias)
    )


def zero_embedding(count: int, width: int) -> nn.Embedding:
    """A table of vectors that is zero until weights are loaded or initialised.

    Random initial values on the meta device make PyTorch import its compiler, which takes longer
    than loading a small model.
    """
    return nn.Embedding(count, width, _weight=torch.zeros(count, width))
