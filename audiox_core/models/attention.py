"""Attention kernels and rotary positions.

Axes: `b` batch, `h` heads, `l` sequence, `d` dims of a head.
"""

from collections.abc import Callable
from typing import NamedTuple

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
    # On a CPU the fused kernel's gradient takes twice the time of plain matrix products.
    plain = q.device.type == "cpu" and torch.is_grad_enabled() and q.requires_grad
    attend = _matmul_attention if plain else scaled_dot_product_attention
    return rearrange(attend(q, k, v), "b h l d -> b l (h d)")


def _matmul_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """As `scaled_dot_product_attention`."""
    return (q * q.shape[-1] ** -0.5 @ k.mT).softmax(dim=-1).to(v.dtype) @ v


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


class Rotation(NamedTuple):
    """A rotation of every position: `y = x cos + partner sin`, `l 1 d` each, float32."""

    cos: Tensor
    sin: Tensor  # negative where the partner is subtracted


def rotation_of_halves(angles: Tensor) -> Rotation:
    """Pair dim i with dim i + half ("half-split"), for `apply_rotary_`.

    Args:
        angles: of `rotary_angles`, `l d`.
    """
    first, second = angles.sin().chunk(2, dim=-1)
    return Rotation(angles.cos()[:, None], torch.cat([-first, second], dim=-1)[:, None])


def rotation_of_pairs(angles: Tensor) -> Rotation:
    """Pair neighbouring dims ("interleaved"), for `apply_rotary_pairs`.

    Args:
        angles: of `rotary_angles`, `l d`.
    """
    angles = angles[:, : angles.shape[-1] // 2]
    sin = torch.stack([-angles.sin(), angles.sin()], dim=-1).flatten(-2)
    return Rotation(angles.cos().repeat_interleave(2, dim=-1)[:, None], sin[:, None])


def apply_rotary_(x: Tensor, rotation: Rotation) -> None:
    """Rotate the leading dims of each head in place; the remaining dims stay.

    Computed in float32, because half precision cannot distinguish high positions.

    Args:
        x: `b l h d`; the heads of queries and keys may follow one another.
        rotation: of `rotation_of_halves`, with at most `d` dims.
    """
    x = x[..., : rotation.cos.shape[-1]]
    first, second = x.chunk(2, dim=-1)
    turned = x * rotation.cos  # float32, whatever x is
    x.copy_(turned.addcmul_(torch.cat([second, first], dim=-1), rotation.sin))


def apply_rotary_pairs(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotate all dims of each head; computed in float32.

    Args:
        x: `... l h d`.
        rotation: of `rotation_of_pairs`, with `d` dims.

    Returns:
        As `x`.
    """
    turned = x * rotation.cos  # float32, whatever x is
    turned[..., ::2].addcmul_(x[..., 1::2], rotation.sin[..., ::2])
    turned[..., 1::2].addcmul_(x[..., ::2], rotation.sin[..., 1::2])
    return turned.to(x.dtype)
