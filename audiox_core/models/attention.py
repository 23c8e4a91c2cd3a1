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
    """Softmax attention without a mask.

    Args:
        q: `b h l d`.
        k, v: `b h s d`.

    Returns:
        `b l (h d)`.
    """
    return rearrange(scaled_dot_product_attention(q, k, v), "b h l d -> b l (h d)")


def rotary_angles(length: int, dim: int, device: torch.device | str = "cpu") -> Tensor:
    """Rotary angles of every position (RoFormer, arXiv 2104.09864, base 10000).

    Args:
        length: number of positions.
        dim: rotated dims of a head.
        device: of the result.

    Returns:
        `l dim`, float32; both halves are equal.
    """
    frequencies = 10_000 ** (-torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)
    angles = torch.outer(torch.arange(length, device=device, dtype=torch.float32), frequencies)
    return torch.cat([angles, angles], dim=-1)


def apply_rotary(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate the leading dims of each head; the remaining dims pass unchanged.

    Dim i is paired with dim i + half ("half-split", not interleaved). Computed in float32, because
    half precision cannot distinguish high positions.

    Args:
        x: `b h l d`.
        angles: of `rotary_angles`, `l dim` with `dim` at most `d`.

    Returns:
        `b h l d` in the dtype of `x`.
    """
    dim = angles.shape[-1]
    turned, passed = x[..., :dim].float(), x[..., dim:]
    first, second = turned.chunk(2, dim=-1)
    turned = turned * angles.cos() + torch.cat([-second, first], dim=-1) * angles.sin()
    return torch.cat([turned.to(x.dtype), passed], dim=-1)


def apply_rotary_pairs(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate all dims of each head; neighbouring dims are the pairs ("interleaved").

    Args and return value as in `apply_rotary`, with `dim` equal to `d`.
    """
    angles = angles[:, : x.shape[-1] // 2]
    even, odd = rearrange(x.float(), "b h l (d pair) -> pair b h l d", pair=2)
    cos, sin = angles.cos(), angles.sin()
    turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
    return turned.flatten(-2).to(x.dtype)
