"""The encoder of T5 (Raffel et al. 2020, arXiv 1910.10683; gated form arXiv 2002.05202).

Parameter names follow the published checkpoints. Computed here and not by a library, whose import
takes longer than loading and running the encoder. Axes: `b` prompts, `s` tokens, `h` heads, `d`
width.
"""

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import gelu, relu, scaled_dot_product_attention

from ..config import TextConfig
from .layers import zero_embedding

EPS = 1e-6


class Norm(nn.Module):
    """RMSNorm without an offset; the mean square is computed in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """x `... d` -> `... d`."""
        scale = x.float().square().mean(dim=-1, keepdim=True).add(EPS).rsqrt()
        return self.weight * (x * scale).to(self.weight.dtype)


class SelfAttention(nn.Module):
    """Attention whose scores are not scaled; the initial weights of the queries do that."""

    def __init__(self, config: TextConfig, *, has_bias: bool) -> None:
        super().__init__()
        self.heads, inner = config.heads, config.heads * config.head_dim
        self.q, self.k, self.v = (nn.Linear(config.width, inner, bias=False) for _ in range(3))
        self.o = nn.Linear(inner, config.width, bias=False)
        if has_bias:  # of the first layer; all layers add it to their scores
            self.relative_attention_bias = zero_embedding(config.buckets, config.heads)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x `b s d`, bias `b h s s` -> `b s d`."""
        q, k, v = (
            rearrange(project(x), "b s (h d) -> b h s d", h=self.heads)
            for project in (self.q, self.k, self.v)
        )
        heads = scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)
        return self.o(rearrange(heads, "b h s d -> b s (h d)"))


class FeedForward(nn.Module):
    """Linear, ReLU, Linear; or gated by GELU as in T5 1.1."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        for name in ("wi_0", "wi_1") if config.gated else ("wi",):
            self.add_module(name, nn.Linear(config.width, config.ff_width, bias=False))
        self.wo = nn.Linear(config.ff_width, config.width, bias=False)
        self.gated = config.gated

    def forward(self, x: Tensor) -> Tensor:
        """x `b s d` -> `b s d`."""
        if self.gated:
            gate, inner = self.get_submodule("wi_0"), self.get_submodule("wi_1")
            return self.wo(gelu(gate(x), approximate="tanh") * inner(x))
        return self.wo(relu(self.get_submodule("wi")(x)))


class Residual(nn.Module):
    """A layer that is normalized first and added."""

    def __init__(self, width: int, name: str, layer: nn.Module) -> None:
        super().__init__()
        self.add_module(name, layer)
        self.layer_norm = Norm(width)
        self.name = name

    @property
    def inner(self) -> nn.Module:
        """The layer."""
        return self.get_submodule(self.name)

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        """x `b s d` -> `b s d`."""
        return x + self.inner(self.layer_norm(x), *given)


class Block(nn.Module):
    """Attention, then feed-forward."""

    def __init__(self, config: TextConfig, *, has_bias: bool) -> None:
        super().__init__()
        attention = SelfAttention(config, has_bias=has_bias)
        self.layer = nn.ModuleList(
            [
                Residual(config.width, "SelfAttention", attention),
                Residual(config.width, "DenseReluDense", FeedForward(config)),
            ]
        )

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x `b s d`, bias `b h s s` -> `b s d`."""
        attention, feed_forward = self.layer
        return feed_forward(attention(x, bias))


class Stack(nn.Module):
    """The blocks and the last norm."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            Block(config, has_bias=index == 0) for index in range(config.depth)
        )
        self.final_layer_norm = Norm(config.width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x `b s d`, bias `b h s s` -> `b s d`."""
        for block in self.block:
            x = block(x, bias)
        return self.final_layer_norm(x)


class T5Encoder(nn.Module):
    """Token ids in, hidden states out."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.shared = zero_embedding(config.vocab_size, config.width)
        self.encoder = Stack(config)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encode prompts.

        Args:
            ids: of the tokens, `b s`.
            mask: True for a token, False for padding, which no token attends to; `b s`.

        Returns:
            The last hidden states, `b s d`; those of padding mean nothing.
        """
        table = self.get_parameter(
            "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        )
        buckets = relative_buckets(ids.shape[-1], self.config).to(ids.device)
        bias = rearrange(table[buckets], "q k h -> 1 h q k")
        bias = bias.masked_fill(~mask.bool()[:, None, None], torch.finfo(bias.dtype).min)
        return self.encoder(self.shared(ids), bias)


def relative_buckets(length: int, config: TextConfig) -> Tensor:
    """The bucket of the distance between every query and every key.

    Half of the buckets are for keys after the query. In each half, the first half is for exact
    distances; the others grow logarithmically up to `max_distance`.

    Args:
        length: number of tokens.
        config: its buckets and max_distance are used.

    Returns:
        `q k` int64, below `config.buckets`.
    """
    places = torch.arange(length, device="cpu")
    distance = places[None] - places[:, None]  # key - query
    half = config.buckets // 2
    exact = half // 2
    far = distance.abs().clamp(min=1).float() / exact
    grown = exact + (far.log() / math.log(config.max_distance / exact) * (half - exact)).long()
    bucket = torch.where(distance.abs() < exact, distance.abs(), grown.clamp(max=half - 1))
    return bucket + half * (distance > 0)
