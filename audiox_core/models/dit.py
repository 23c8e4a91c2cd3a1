"""The diffusion transformer of AudioX v1 and AudioX-MAF (arXiv 2503.10522, section 3.2).

Latent frames attend to one another and to the condition tokens; the diffusion time is one more
token in front. Module names follow the released checkpoint below `model.model.`, so that its
weights and LoRAs made for it fit; only the norms' `gamma` and `beta` are renamed (`rename_norms`).

Axes: `b` batch, `c` latent channels, `t` latent frames, `l` sequence (time token + frames),
`s` condition tokens, `h` heads, `d` dims of a head.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from ..config import DiTConfig
from .attention import (
    AttentionFn,
    Rotation,
    apply_rotary_,
    rotary_angles,
    rotation_of_halves,
    torch_attention,
)
from .backbone import BackboneBase, BlockHooks, run_block
from .layers import FeedForward, Layers

KeysValues = tuple[Tensor, Tensor]  # 2 x `b h s d`


class SelfAttention(nn.Module):
    """Self attention of the latent frames with rotary positions."""

    def __init__(self, config: DiTConfig, *, ops: Any, attention: AttentionFn) -> None:
        super().__init__()
        self.head_dim, self.attention = config.head_dim, attention
        self.to_qkv = ops.Linear(config.width, 3 * config.width, bias=False)
        self.to_out = ops.Linear(config.width, config.width, bias=False)

    def forward(
        self, x: Tensor, rotation: Rotation, attention: AttentionFn | None = None
    ) -> Tensor:
        """x `b l dim` -> `b l dim`; `attention` is used in place of the kernel."""
        qkv = rearrange(self.to_qkv(x), "b l (heads d) -> b l heads d", d=self.head_dim)
        apply_rotary_(qkv[:, :, : qkv.shape[2] // 3 * 2], rotation)  # queries and keys at once
        q, k, v = rearrange(qkv, "b l (qkv h) d -> qkv b h l d", qkv=3)
        return self.to_out((attention or self.attention)(q, k, v))


class CrossAttention(nn.Module):
    """Latent frames attend to condition tokens; several query heads share one key head.

    No mask: padding tokens take their part of the attention, as the model was trained.
    """

    def __init__(self, config: DiTConfig, *, ops: Any, attention: AttentionFn) -> None:
        super().__init__()
        self.head_dim, self.attention = config.head_dim, attention
        self.heads = config.width // config.head_dim
        self.to_q = ops.Linear(config.width, config.width, bias=False)
        self.to_kv = ops.Linear(config.cond_dim, 2 * config.cond_dim, bias=False)
        self.to_out = ops.Linear(config.width, config.width, bias=False)

    def keys_values(self, context: Tensor) -> KeysValues:
        """Context `b s cond_dim` -> keys and values `b h s d`, one head for each query head."""
        kv = rearrange(self.to_kv(context), "b s (kv h d) -> kv b h s d", kv=2, d=self.head_dim)
        shared = self.heads // kv.shape[2]
        keys, values = repeat(kv, "kv b h s d -> kv b (h shared) s d", shared=shared)
        return keys, values

    def forward(self, x: Tensor, keys_values: KeysValues) -> Tensor:
        """x `b l dim`, keys and values `b h s d` (or one row for all) -> `b l dim`."""
        q = rearrange(self.to_q(x), "b l (h d) -> b h l d", d=self.head_dim)
        k, v = (t.expand(len(q), -1, -1, -1) for t in keys_values)
        return self.to_out(self.attention(q, k, v))


class Block(nn.Module):
    """Self attention, cross attention and feed-forward; each normalized first and residual."""

    def __init__(self, config: DiTConfig, *, ops: Any, attention: AttentionFn) -> None:
        super().__init__()
        dim, kernel = config.width, {"ops": ops, "attention": attention}
        self.pre_norm = ops.LayerNorm(dim, eps=1e-5)
        self.self_attn = SelfAttention(config, **kernel)
        self.cross_attend_norm = ops.LayerNorm(dim, eps=1e-5)
        self.cross_attn = CrossAttention(config, **kernel)
        self.ff_norm = ops.LayerNorm(dim, eps=1e-5)
        self.ff = FeedForward(dim, config.ff_mult, ops=ops)

    def forward(
        self,
        x: Tensor,
        keys_values: KeysValues | None,
        attending: Tensor | None,
        rotation: Rotation,
        attention: AttentionFn | None = None,
    ) -> Tensor:
        """x `b l dim`, of which the items `attending` attend to the condition (None: all).

        `attention` is used in place of the kernel of the self attention.
        """
        x = self.self_attn(self.pre_norm(x), rotation, attention).add_(x)
        if keys_values is not None and attending is None:
            x = self.cross_attn(self.cross_attend_norm(x), keys_values).add_(x)
        elif keys_values is not None:
            found = self.cross_attn(self.cross_attend_norm(x[attending]), keys_values)
            x = x.index_add(0, attending, found)
        return self.ff(self.ff_norm(x)).add_(x)


class Transformer(nn.Module):
    """The stack of blocks between two projections."""

    def __init__(self, config: DiTConfig, *, ops: Any, attention: AttentionFn) -> None:
        super().__init__()
        self.rotary_dim = config.rotary_dim
        self.project_in = ops.Linear(config.io_channels, config.width, bias=False)
        self.layers: Layers[Block] = Layers(
            Block(config, ops=ops, attention=attention) for _ in range(config.depth)
        )
        self.project_out = ops.Linear(config.width, config.io_channels, bias=False)

    def forward(
        self,
        x: Tensor,
        time_token: Tensor,
        context: "Context",
        hooks: BlockHooks | None = None,
    ) -> Tensor:
        """x `b t c`, time_token `b 1 dim` -> `b t c`; `hooks` are called in place of blocks."""
        x = torch.cat([time_token, self.project_in(x)], dim=1)
        rotation = rotation_of_halves(rotary_angles(x.shape[1], self.rotary_dim, x.device))
        for index, (layer, keys_values) in enumerate(zip(self.layers, context.layers, strict=True)):
            x = run_block(
                layer,
                hooks.get(index) if hooks else None,
                x=x,
                keys_values=keys_values,
                attending=context.attending,
                rotation=rotation,
            )
        return self.project_out(x)[:, time_token.shape[1] :]


@dataclass(frozen=True)
class Context:
    """Keys and values of the condition tokens; the same at every step of a run."""

    layers: Sequence[KeysValues | None]  # of each block; None: no cross attention
    attending: Tensor | None = None  # items of the batch that attend; None: all


class DiT(BackboneBase):
    """Predicts v from noisy latents, the diffusion time and the condition tokens."""

    def __init__(
        self, config: DiTConfig, *, ops: Any = nn, attention: AttentionFn = torch_attention
    ) -> None:
        super().__init__(config, partial(Transformer, config, ops=ops, attention=attention), ops)

    @staticmethod
    def no_tokens(like: Tensor) -> Tensor:
        """What `prepare` takes where no batch item has condition tokens."""
        return like.new_zeros(0, 0, 0)

    def prepare(self, tokens: Tensor | None, rows: Sequence[int | None] | None = None) -> Context:
        """Keys and values of every block, to be computed once for all steps.

        Args:
            tokens: different conditions, `r s cond_dim`; None, or none of them, leaves cross
                attention out, which is exactly what tokens of zeros do: no layer between them and
                the blocks has a bias.
            rows: which of them each batch item has; None in it is the null condition, all zeros.
                Without it item k has condition k, or all have the only one.
        """
        blocks = self.transformer.layers
        if tokens is None or not len(tokens):
            return Context([None] * len(blocks))
        embedded = self.to_cond_embed(tokens)
        layers = [b.cross_attn.keys_values(embedded) for b in blocks]
        if rows is None:
            return Context(layers)
        attending = [item for item, row in enumerate(rows) if row is not None]
        taken = [rows[item] for item in attending]
        if len(tokens) > 1 and taken != [*range(len(tokens))]:
            layers = [(k[taken], v[taken]) for k, v in layers]
        everyone = len(attending) == len(rows)
        return Context(layers, None if everyone else torch.tensor(attending, device=tokens.device))

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        context: Tensor | Context | None = None,
        global_cond: Tensor | None = None,
        hooks: BlockHooks | None = None,
    ) -> Tensor:
        """Predict v.

        Args:
            x: noisy latents, `b c t`, scaled to unit variance.
            t: diffusion time in [0, 1], `b` float32.
            context: condition tokens, `b s cond_dim`, or what `prepare` made of them.
            global_cond: `b global_dim`, added to the time token; v1 never feeds it.
            hooks: called in place of blocks, with `x`, `keys_values`, `attending` and `rotation`.
        """
        if not isinstance(context, Context):
            context = self.prepare(context)
        return self.predict(x, t, context, global_cond, hooks)


def rename_norms(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the norms of a checkpoint for `nn.LayerNorm`: `gamma` is weight, `beta` is bias."""
    ours = {"gamma": "weight", "beta": "bias"}
    split = {key: key.rpartition(".") for key in state}
    return {
        f"{path}{dot}{ours.get(last, last)}": state[k] for k, (path, dot, last) in split.items()
    }
