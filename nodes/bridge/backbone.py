"""The backbones as ComfyUI calls a diffusion model: a latent of any length, ComfyUI's attention.

What does not change from step to step is computed once a run (`Run`), which `nodes/bridge/model.py`
opens and closes.

Axes: `b` batch, `w` windows, `c` channels, `t` latent frames, `s` condition tokens, `d` width.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.conds
import torch
from comfy.ldm.modules.attention import optimized_attention
from einops import rearrange
from torch import Tensor

from ...audiox_core.config import DiTConfig, LatentConfig, MMDiTConfig
from ...audiox_core.errors import SettingsError
from ...audiox_core.models import Prepared
from ...audiox_core.models.dit import DiT
from ...audiox_core.models.mmdit import MMDiT
from ...audiox_core.windows import over_windows, plan_frames

ATTENTION_OVERRIDE = "optimized_attention_override"  # how nodes exchange the attention kernel
RUN = "audiox_run"  # in transformer_options, for as long as a sampling run lasts


class HostAttention:
    """ComfyUI's attention kernel; nodes that exchange it reach it through `options`."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return optimized_attention(
            q, k, v, q.shape[1], skip_reshape=True, transformer_options=self.options,
            low_precision_attention=False,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Condition:
    """One conditioning of a run, told from others by its identity."""

    null: bool  # zeros throughout: the trained unconditional input
    hooked: bool  # its weights may change from step to step


class ConditionsCond(comfy.conds.CONDConstant):
    """Hands each forward the `Condition` of every part of its batch, in their order."""

    def can_concat(self, _other: Any) -> bool:
        return True

    def concat(self, others: Sequence[Any]) -> tuple[Condition, ...]:
        return (self._tuple()) + tuple(c for other in others for c in other._tuple())

    def _tuple(self) -> tuple[Condition, ...]:
        return self.cond if isinstance(self.cond, tuple) else (self.cond,)


class Run:
    """What one sampling run keeps: the prepared conditions of the last group of windows.

    A sound of more windows than one group prepares them anew at each turn, so that the memory
    stays that of one.
    """

    def __init__(self) -> None:
        self.key: Hashable = None
        self.prepared: Prepared | None = None

    def of(self, key: Hashable, prepare: Callable[[], Prepared]) -> Prepared:
        """What was prepared for `key`; of another key nothing stays."""
        if self.prepared is None or self.key != key:
            self.prepared = None  # first, so that two are never held
            self.prepared, self.key = prepare(), key
        return self.prepared

    def close(self) -> None:
        """Let go of everything."""
        self.key = self.prepared = None


class _AnyLength:
    """Over `forward(x, t, prepared)` of a window: the call of ComfyUI."""

    def __init__(
        self, config: DiTConfig | MMDiTConfig, *, ops: Any, attention: HostAttention,
        latent: LatentConfig, dtype: torch.dtype,
    ) -> None:  # fmt: skip
        super().__init__(config, ops=ops, attention=attention)
        self.host_attention, self.grid = attention, latent
        self.dtype = dtype  # of the weights: ComfyUI asks for it

    def forward(
        self, x: Tensor, timesteps: Tensor, context: Tensor | None = None, *,
        transformer_options: dict[str, Any] | None = None, audiox_frames: int,
        audiox_conditions: tuple[Condition, ...], **_others: Any,
    ) -> Tensor:  # fmt: skip
        """Predict what the model was trained to predict.

        Args:
            x: noisy latents, `b c t`, scaled to unit variance.
            timesteps: diffusion time in [0, 1], `b`.
            context: condition tokens, `b w s d`.
            transformer_options: ComfyUI's.
            audiox_frames: frames of the latent that is sampled.
            audiox_conditions: of the equal parts that the batch consists of.
        """
        if x.shape[-1] != audiox_frames:
            raise SettingsError(
                f"A node cut the latent of {audiox_frames} frames to {x.shape[-1]} (context "
                "windows, or a conditioning area). Remove it: AudioX makes sounds of any length "
                "by itself, and a time is repaired with AudioX Inpaint Latent."
            )
        options = transformer_options or {}
        self.host_attention.options = {
            key: options[key] for key in (ATTENTION_OVERRIDE,) if key in options
        }
        run = None if any(c.hooked for c in audiox_conditions) else options.get(RUN)

        def predict(windows: Tensor, group: Sequence[int]) -> Tensor:
            batch, count = windows.shape[:2]
            prepare = partial(self._prepare, context, audiox_conditions, tuple(group))
            key = (tuple(group), batch, audiox_conditions, context.dtype, context.device)
            prepared = prepare() if run is None else run.of(key, prepare)
            rows = rearrange(windows, "b w c t -> (b w) c t")
            predicted = super(_AnyLength, self).forward(
                rows, timesteps.repeat_interleave(count), prepared
            )
            return rearrange(predicted, "(b w) c t -> b w c t", b=batch)

        return over_windows(x, plan_frames(self.grid, x.shape[-1]), predict)

    def _prepare(
        self, context: Tensor, conditions: Sequence[Condition], group: tuple[int, ...]
    ) -> Prepared:
        """Every condition once, however many items of the batch have it."""
        items = len(context) // len(conditions)  # of each part
        tokens: list[Tensor] = []
        rows: list[int | None] = []
        for part, condition in enumerate(conditions):
            if condition.null:
                rows += [None] * (items * len(group))
                continue
            own = context[part * items]  # `w s d`, the same for all items of the part
            first = sum(map(len, tokens))
            tokens.append(own[list(group)] if len(own) > 1 else own)
            found = [first + (i if len(own) > 1 else 0) for i in range(len(group))]
            rows += found * items
        return self.prepare(torch.cat(tokens) if tokens else context[:0, 0], rows)


class NativeDiT(_AnyLength, DiT):
    """The backbone of AudioX and AudioX-MAF."""


class NativeMMDiT(_AnyLength, MMDiT):
    """The backbone of AudioX-MAF-MMDiT, Base and Turbo."""


def native_backbone(config: DiTConfig | MMDiTConfig, **parts: Any) -> NativeDiT | NativeMMDiT:
    """The backbone of these sizes, of ComfyUI's layers, without weights.

    Args:
        config: of the backbone.
        parts: `ops`, `attention`, `latent` and `dtype` of its constructor.
    """
    kind = NativeMMDiT if isinstance(config, MMDiTConfig) else NativeDiT
    return kind(config, **parts)
