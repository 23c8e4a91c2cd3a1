"""The backbone of AudioX-MAF-MMDiT, AudioX-Base and AudioX-Turbo.

A stack of equal blocks over a window of latent frames, with the diffusion time as one more token
in front. The condition enters as modulation of every position, the time through its token and
through a cross attention to it. Several wirings look like mistakes and are trained so.

Module names follow the released checkpoint below `model.model.`. Axes: `b` batch, `c` latent
channels, `t` latent frames, `l` positions (time token + frames), `s` condition tokens,
`r` different conditions, `h` heads, `d` dims of a head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, pad
from torch.nn.functional import rms_norm as torch_rms_norm

from ..config import MMDiTConfig
from ..errors import SettingsError
from .attention import (
    AttentionFn,
    Rotation,
    apply_rotary_pairs,
    rotary_angles,
    rotation_of_pairs,
    torch_attention,
)
from .backbone import BackboneBase, BlockHooks, run_block
from .layers import Layers, gated

RMS_EPS = 1e-6


@dataclass(frozen=True)
class Modulations:
    """The modulation of every block by the condition; the same at every step of a run."""

    layers: Sequence[Tensor]  # of each block, `r l 6 dim`, from `Block.modulation`
    rows: Tensor | None = None  # which of `r` each batch item takes; None: its own

    def of_layer(self, index: int, batch: int) -> tuple[Tensor, ...]:
        """Shift, factor, gate of the attention, then of the feed-forward; 6 x `b l dim`."""
        modulation = self.layers[index]
        if self.rows is not None:
            modulation = modulation.index_select(0, self.rows)
        return modulation.expand(batch, -1, -1).chunk(6, dim=-1)


@cache
def token_conv(conv: type, kernel: int) -> Callable[..., Any]:
    """A subclass of a host's `Conv1d` that is a matrix product over neighbouring tokens.

    The same numbers, from and to a transposed view of tokens, which it does not copy as it is.
    Libraries for convolutions reorder the weight at every call, which took 71 % of a step of
    AudioX-Turbo on an H100.
    """

    class TokenConv(conv):
        """Transposed tokens `b i l` -> `b o l`, zero behind the ends."""

        def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            kernel = weight.shape[-1]
            padded = pad(x.transpose(1, 2), (0, 0, kernel // 2, kernel // 2))
            rows = padded.unfold(1, kernel, 1).flatten(2)  # `b l (i k)`
            return linear(rows, weight.flatten(1), bias).transpose(1, 2)

    # padding as in the ordinary layer: a host may compute an adapter of it beside it
    return partial(TokenConv, kernel_size=kernel, padding=kernel // 2)


def rms_norm(x: Tensor) -> Tensor:
    """Normalize to unit mean square over the last axis, without weights; computed in float32."""
    if HALF_OVERFLOWS and x.dtype == torch.float16:
        return torch_rms_norm(x.float(), x.shape[-1:], eps=RMS_EPS).to(x.dtype)
    return torch_rms_norm(x, x.shape[-1:], eps=RMS_EPS)


def half_overflows() -> bool:
    """Whether torch squares float16 in float16, as before 2.5: 256 is too large for that."""
    large = torch.full((1,), 300.0, dtype=torch.float16, device="cpu")
    return torch_rms_norm(large, (1,)).item() != 1


HALF_OVERFLOWS = half_overflows()


class SelfAttention(nn.Module):
    """Self attention with normalized queries and keys and rotary positions."""

    def __init__(self, config: MMDiTConfig, *, ops: Any, attention: AttentionFn) -> None:
        super().__init__()
        self.head_dim, self.attention = config.head_dim, attention
        self.qkv = ops.Linear(config.width, 3 * config.width)

    def queries_keys_values(self, x: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """x `b l dim` -> 3 x `b h l d`; q, k, v alternate in the projection."""
        qkv = rearrange(self.qkv(x), "b l (h d qkv) -> qkv b l h d", qkv=3, d=self.head_dim)
        qkv = qkv.contiguous()  # every third number otherwise, which excludes fast kernels
        q, k = apply_rotary_pairs(rms_norm(qkv[:2]), rotation)
        return q.transpose(1, 2), k.transpose(1, 2), qkv[2].transpose(1, 2)

    def forward(
        self, x: Tensor, rotation: Rotation, attention: AttentionFn | None = None
    ) -> Tensor:
        """x `b l dim` -> `b l dim`; `attention` is used in place of the kernel."""
        return (attention or self.attention)(*self.queries_keys_values(x, rotation))


class TimeAttention(nn.Module):
    """Cross attention to the time token. Keys and values are swapped, as in training."""

    def __init__(self, config: MMDiTConfig, *, ops: Any, attention: AttentionFn) -> None:
        super().__init__()
        self.head_dim, self.attention = config.head_dim, attention
        self.to_q = ops.Linear(config.width, config.width, bias=False)
        self.to_kv = ops.Linear(config.width, 2 * config.width, bias=False)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x `b l dim`, context `b s dim` -> `b l dim`, or `b 1 dim` where s is 1.

        Attention to a single token is its value, whatever is asked: queries and keys need not be.
        """
        kv = rearrange(self.to_kv(context), "b s (h d kv) -> kv b h s d", kv=2, d=self.head_dim)
        value, key = rms_norm(kv[0]), kv[1]
        if context.shape[1] == 1:
            return rearrange(value, "b h s d -> b s (h d)")
        q = rms_norm(rearrange(self.to_q(x), "b l (h d) -> b h l d", d=self.head_dim))
        return self.attention(q, key, value)


class ConvFeedForward(nn.Module):
    """Gated feed-forward layer of convolutions over time, `b l dim` -> `b l dim`."""

    def __init__(self, config: MMDiTConfig, *, ops: Any) -> None:
        super().__init__()
        conv = partial(token_conv(ops.Conv1d, config.kernel), bias=False)
        self.w1 = conv(config.width, config.ff_width)
        self.w2 = conv(config.ff_width, config.width)
        self.w3 = conv(config.width, config.ff_width)

    def forward(self, x: Tensor) -> Tensor:
        """x `b l dim` -> `b l dim`."""
        x = x.transpose(1, 2)
        return self.w2(gated(self.w3(x), self.w1(x))).transpose(1, 2)


class Block(nn.Module):
    """Modulated self attention, attention to the time, modulated feed-forward; all residual."""

    def __init__(self, config: MMDiTConfig, *, ops: Any, attention: AttentionFn) -> None:
        super().__init__()
        width, kernel = config.width, {"ops": ops, "attention": attention}
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), ops.Linear(width, 6 * width))
        self.attn = SelfAttention(config, **kernel)
        self.linear1 = token_conv(ops.Conv1d, config.kernel)(width, width)
        self.cross_attn = TimeAttention(config, **kernel)
        self.ffn = ConvFeedForward(config, ops=ops)

    def modulation(self, spread: Tensor) -> Tensor:
        """The condition of every position `r l dim` -> `r l 6 dim`.

        Shift, factor and gate of the attention, then of the feed-forward; a factor is 1 + scale.
        """
        modulation = self.adaLN_modulation(spread)
        modulation.unflatten(-1, (6, -1))[..., 1::3, :].add_(1)
        return modulation

    def forward(
        self,
        x: Tensor,
        modulation: Sequence[Tensor],
        context: Tensor | None,
        rotation: Rotation,
        attention: AttentionFn | None = None,
    ) -> Tensor:
        """x `b l dim`, 6 x `b l dim` (or `1 l dim`), context `b s dim`.

        `attention` is used in place of the kernel of the self attention.
        """
        shift_1, factor_1, gate_1, shift_2, factor_2, gate_2 = modulation
        attended = self.attn(_modulated(x, shift_1, factor_1), rotation, attention)
        x = torch.addcmul(x, gate_1, self.linear1(attended.transpose(1, 2)).transpose(1, 2))
        if context is not None:
            x = x + self.cross_attn(x, context)
        return torch.addcmul(x, gate_2, self.ffn(_modulated(x, shift_2, factor_2)))


def _modulated(x: Tensor, shift: Tensor, factor: Tensor) -> Tensor:
    return torch.addcmul(shift, layer_norm(x, x.shape[-1:], eps=1e-5), factor)


class Transformer(nn.Module):
    """The stack of blocks between two projections."""

    def __init__(self, config: MMDiTConfig, *, ops: Any, attention: AttentionFn) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.project_in = ops.Linear(config.io_channels, config.width, bias=False)
        self.proj_mm_tokens = ops.Linear(config.cond_dim, config.width)
        self.proj_mm_seq_len = ops.Linear(config.tokens, config.positions)
        self.layers: Layers[Block] = Layers(
            Block(config, ops=ops, attention=attention) for _ in range(config.depth)
        )
        self.project_out = ops.Linear(config.width, config.io_channels, bias=False)

    def spread(self, tokens: Tensor) -> Tensor:
        """Condition tokens `r s cond_dim` -> one row a position, `r l dim`."""
        rows = rearrange(self.proj_mm_tokens(tokens), "r s d -> r d s")
        return rearrange(self.proj_mm_seq_len(rows), "r d l -> r l d")

    def forward(
        self,
        x: Tensor,
        time_token: Tensor,
        modulations: Modulations,
        hooks: BlockHooks | None = None,
    ) -> Tensor:
        """x `b t c`, time_token `b 1 dim` -> `b t c`; `hooks` are called in place of blocks."""
        x = torch.cat([time_token, self.project_in(x)], dim=1)
        rotation = rotation_of_pairs(rotary_angles(x.shape[1], self.head_dim, x.device))
        for index, layer in enumerate(self.layers):
            x = run_block(
                layer,
                hooks.get(index) if hooks else None,
                x=x,
                modulation=modulations.of_layer(index, len(x)),
                context=time_token,
                rotation=rotation,
            )
        return self.project_out(x)[:, 1:]


class MMDiT(BackboneBase):
    """Predicts v from the noisy latents of one window, the diffusion time and the condition."""

    def __init__(
        self, config: MMDiTConfig, *, ops: Any = nn, attention: AttentionFn = torch_attention
    ) -> None:
        super().__init__(config, partial(Transformer, config, ops=ops, attention=attention), ops)

    def no_tokens(self, like: Tensor) -> Tensor:
        """What `prepare` takes where no batch item has condition tokens, `0 s cond_dim`."""
        return self._null(like)[:0]

    def prepare(self, tokens: Tensor, rows: Sequence[int | None] | None = None) -> Modulations:
        """Modulations of every block, to be computed once for all steps.

        Args:
            tokens: different conditions, `r s cond_dim`, where and as it is computed; r may be 0.
            rows: which of them each batch item has; None in it is the null condition, all zeros.
                Without it item k has condition k, or all have the only one.
        """
        if rows is not None and None in rows:
            tokens = torch.cat([tokens, self._null(tokens)])
        null = len(tokens) - 1
        taken = [null if row is None else row for row in rows or ()]
        spread = self.transformer.spread(tokens)
        layers = [block.modulation(spread) for block in self.transformer.layers]
        if len(tokens) == 1 or taken in ([], [*range(len(tokens))]):
            return Modulations(layers)  # nothing to pick out at every layer
        return Modulations(layers, torch.tensor(taken, device=tokens.device))

    def _null(self, like: Tensor) -> Tensor:
        """The null condition, `1 s cond_dim`."""
        return like.new_zeros(1, self.config.tokens, self.config.cond_dim)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        context: Tensor | Modulations | None = None,
        hooks: BlockHooks | None = None,
    ) -> Tensor:
        """Predict v.

        Args:
            x: noisy latents of one whole window, `b c t`.
            t: diffusion time in [0, 1], `b` float32.
            context: condition tokens, `b s cond_dim`, or what `prepare` made of them; None is
                the null condition.
            hooks: called in place of blocks, with `x`, `modulation`, `context` and `rotation`.

        Raises:
            SettingsError: x is shorter or longer than a window; nothing else was trained.
        """
        if x.shape[-1] != self.config.positions - 1:
            raise SettingsError(
                f"The latent has {x.shape[-1]} frames, but this model needs windows of "
                f"{self.config.positions - 1}: use AudioX Empty Latent, and trim the audio in "
                "AudioX Decode."
            )
        if not isinstance(context, Modulations):
            context = self.prepare(self._null(x) if context is None else context)
        return self.predict(x, t, context, hooks=hooks)
