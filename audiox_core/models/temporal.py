"""The transformer over time of each image token, inside the video conditioner.

Module names follow the released checkpoint below `Temp_transformer.`. Axes: `b` sequences,
`l` frames, `h` heads, `d` dims of a head.
"""

from einops import rearrange
from torch import Tensor, nn

from ..config import TemporalConfig
from .attention import torch_attention
from .layers import Layers


class Residual(nn.Module):
    """x + fn(norm(x))."""

    def __init__(self, dim: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-5)
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        """x `b l dim` -> `b l dim`."""
        return x + self.fn(self.norm(x))


class Attention(nn.Module):
    """Multi-head self attention without positions."""

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(dim, 3 * heads * head_dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(heads * head_dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """x `b l dim` -> `b l dim`."""
        q, k, v = rearrange(self.to_qkv(x), "b l (qkv h d) -> qkv b h l d", qkv=3, h=self.heads)
        return self.to_out(torch_attention(q, k, v))


class MLP(nn.Module):
    """Linear, exact GELU, Linear."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        # the Identity stands where the checkpoint counts a dropout layer
        self.net = nn.Sequential(
            nn.Linear(dim, inner), nn.GELU(), nn.Identity(), nn.Linear(inner, dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x `b l dim` -> `b l dim`."""
        return self.net(x)


class TemporalTransformer(nn.Module):
    """Layers of attention and MLP, then a norm; `b l dim` -> `b l dim`."""

    def __init__(self, dim: int, config: TemporalConfig) -> None:
        super().__init__()
        self.layers: Layers[Layers[Residual]] = Layers(
            Layers(
                [
                    Residual(dim, Attention(dim, config.heads, config.head_dim)),
                    Residual(dim, MLP(dim, config.ff_width)),
                ]
            )
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        """x `b l dim` -> `b l dim`."""
        for attention, mlp in self.layers:
            x = mlp(attention(x))
        return self.norm(x)
