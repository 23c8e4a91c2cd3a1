"""MMDiT written as plain formulas, to compute the expected numbers of cases that we make ourselves.

It shares no code with `audiox_core`: one function, weights by name, a loop over the heads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import pi, sqrt

import torch
from torch import Tensor
from torch.nn.functional import conv1d, linear


@dataclass
class PlainMMDiT:
    """The transformer of AudioX-MAF-MMDiT for one condition a batch item.

    Axes as in `audiox_core.models.mmdit`. `hidden` keeps the output of every block of a call.
    """

    weights: Mapping[str, Tensor]  # by released name, below `model.model.`
    depth: int
    head_dim: int
    hidden: list[Tensor] = field(default_factory=list)

    def __call__(self, x: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """Noisy latents `b c t`, times `b`, condition tokens `b s d` -> v `b c t`."""
        w, top = self.weights, "transformer."
        angles = 2 * pi * t[:, None] * w["timestep_features.weight"][:, 0]
        time = torch.cat([angles.cos(), angles.sin()], dim=1)
        time = self._linear("to_timestep_embed.0", time)
        time = self._linear("to_timestep_embed.2", _silu(time))[:, None]
        rows = self._linear(top + "proj_mm_tokens", cond).transpose(1, 2)
        rows = self._linear(top + "proj_mm_seq_len", rows).transpose(1, 2)
        x = x + conv1d(x, w["preprocess_conv.weight"])
        hidden = torch.cat([time, x.transpose(1, 2) @ w[top + "project_in.weight"].T], dim=1)
        self.hidden.clear()
        for index in range(self.depth):
            hidden = self._block(f"{top}layers.{index}.", hidden, rows, time)
            self.hidden.append(hidden)
        y = (hidden[:, 1:] @ w[top + "project_out.weight"].T).transpose(1, 2)
        return y + conv1d(y, w["postprocess_conv.weight"])

    def _block(self, name: str, x: Tensor, rows: Tensor, time: Tensor) -> Tensor:
        six = self._linear(name + "adaLN_modulation.1", _silu(rows)).split(x.shape[-1], dim=-1)
        attended = self._attend(name + "attn.qkv", six[1].add(1) * _standard(x) + six[0])
        x = x + six[2] * self._conv(name + "linear1", attended)
        # the time token is the only one attended to: the result is its value, of unit mean square
        both = (time @ self.weights[name + "cross_attn.to_kv.weight"].T).unflatten(-1, (-1, 2))
        x = x + _unit(both[..., 0].unflatten(-1, (-1, self.head_dim))).flatten(-2)
        gated = six[4].add(1) * _standard(x) + six[3]
        gate, value = self._conv(name + "ffn.w1", gated), self._conv(name + "ffn.w3", gated)
        return x + six[5] * self._conv(name + "ffn.w2", _silu(gate) * value)

    def _attend(self, name: str, x: Tensor) -> Tensor:
        qkv = self._linear(name, x).unflatten(-1, (-1, self.head_dim, 3))
        heads = []
        for head in range(qkv.shape[2]):
            q, k, v = qkv[:, :, head].unbind(dim=-1)
            q, k = _rotated(_unit(q)), _rotated(_unit(k))
            heads.append((q @ k.transpose(1, 2) / sqrt(self.head_dim)).softmax(dim=-1) @ v)
        return torch.cat(heads, dim=-1)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return linear(x, self.weights[name + ".weight"], self.weights[name + ".bias"])

    def _conv(self, name: str, x: Tensor) -> Tensor:
        """A convolution over the positions of `b l d`, as a sum over its taps."""
        kernel, length = self.weights[name + ".weight"], x.shape[1]
        reach = kernel.shape[-1] // 2
        edge = x.new_zeros(len(x), reach, x.shape[2])
        padded = torch.cat([edge, x, edge], dim=1)
        taps = range(kernel.shape[-1])
        out = sum(padded[:, tap : tap + length] @ kernel[..., tap].T for tap in taps)
        return out + self.weights.get(name + ".bias", 0)


def _silu(x: Tensor) -> Tensor:
    return x / (1 + (-x).exp())


def _standard(x: Tensor) -> Tensor:
    """Zero mean and unit variance over the channels."""
    centred = x - x.mean(dim=-1, keepdim=True)
    return centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()


def _unit(x: Tensor) -> Tensor:
    """Unit mean square over the last axis."""
    return x / (x.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()


def _rotated(x: Tensor) -> Tensor:
    """Pairs of neighbouring dims of `b l d` as complex numbers, turned by their position."""
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    speed = 10_000.0 ** (-torch.arange(pairs.shape[-1]) * 2 / x.shape[-1])
    turn = torch.outer(torch.arange(x.shape[1]).float(), speed)
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(turn), turn)).flatten(-2)
