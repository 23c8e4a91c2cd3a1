"""Attention kernels and rotary positions.

Axes: `b` batch, `h` heads, `l` sequence, `d` dims of a head.
"""

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

AttentionFn = Callable[[Tensor, Tensor, Tensor], Tensor]  # 3 x `b h l d` -> `b l (h d)`


def torch_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention without a mask, `b h l d` each -> `b l (h d)`."""
    return rearrange(scaled_dot_product_attention(q, k, v), "b h l d -> b l (h d)")


def rotary_angles(length: int, dim: int, device: torch.device | str = "cpu") -> Tensor:
    """Angle of every position and rotated dim, `l dim` float32 (RoFormer, base 10000)."""
    frequencies = 10_000 ** (-torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)
    angles = torch.outer(torch.arange(length, device=device, dtype=torch.float32), frequencies)
    return torch.cat([angles, angles], dim=-1)


def apply_rotary(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the leading dims of `b h l d` by `angles`; the remaining dims pass unchanged.

    The halves of the turned dims are the pairs ("half-split", not interleaved). Computed in
    float32: half precision cannot tell late positions apart.
    """
    dim = angles.shape[-1]
    turned, passed = x[..., :dim].float(), x[..., dim:]
    first, second = turned.chunk(2, dim=-1)
    turned = turned * angles.cos() + torch.cat([-second, first], dim=-1) * angles.sin()
    return torch.cat([turned.to(x.dtype), passed], dim=-1)


def apply_rotary_pairs(x: Tensor, angles: Tensor) -> Tensor:
    """Turn all dims of `b h l d` by `angles`; neighbouring dims are the pairs ("interleaved").

    Computed in float32, as in `apply_rotary`.
    """
    angles = angles[:, : x.shape[-1] // 2]
    even, odd = rearrange(x.float(), "b h l (d pair) -> pair b h l d", pair=2)
    cos, sin = angles.cos(), angles.sin()
    turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
    return turned.flatten(-2).to(x.dtype)
