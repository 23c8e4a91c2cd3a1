"""The backbones as ComfyUI calls a diffusion model: a latent of any length, ComfyUI's attention.

What no step changes is computed once per run (`pipeline.run_cache`); `nodes/bridge/model.py` makes
the run's cache and clears it.

Axes: `b` batch, `w` windows, `c` channels, `t` latent frames, `s` condition tokens, `d` width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import comfy.conds
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy.patcher_extension import WrapperExecutor, WrappersMP, get_all_wrappers
from torch import Tensor

from ...audiox_core.config import DiTConfig, MMDiTConfig
from ...audiox_core.errors import SettingsError
from ...audiox_core.models import Prepared
from ...audiox_core.models.dit import DiT
from ...audiox_core.models.mmdit import MMDiT
from ...audiox_core.pipeline.run_cache import predict
from ...audiox_core.windows import Plan
from .patches import block_hooks, options_of_parts

RUN = "audiox_run"  # in transformer_options, for as long as a sampling run lasts


class HostAttention:
    """ComfyUI's attention kernel; nodes that exchange it reach it through `options`."""

    def __init__(self) -> None:
        self.options: Mapping[str, Any] = {}  # `transformer_options`, while a forward runs

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return optimized_attention(
            q,
            k,
            v,
            q.shape[1],
            skip_reshape=True,
            transformer_options=self.options,
            low_precision_attention=False,
        )


@dataclass(frozen=True, eq=False)
class Condition:
    """One conditioning of a run; compared by identity."""

    null: bool  # zeros throughout: the trained unconditional input
    hooked: bool  # its weights may change from step to step
    windows: tuple[int, ...] | None = None  # in which it has a weight; None: all


class ConditionsCond(comfy.conds.CONDConstant):
    """Hands each forward the `Condition` of every part of its batch, in their order."""

    def can_concat(self, _other: Any) -> bool:
        return True

    def concat(self, others: Sequence[Any]) -> tuple[Condition, ...]:
        return (self._tuple()) + tuple(c for other in others for c in other._tuple())

    def _tuple(self) -> tuple[Condition, ...]:
        return self.cond if isinstance(self.cond, tuple) else (self.cond,)


class _AnyLength:
    """Turns `forward(x, t, prepared)` of one window into the call of ComfyUI, for any length."""

    block_inputs: ClassVar[Mapping[str, str]]  # ComfyUI's names of a block's inputs -> ours

    def __init__(
        self,
        config: DiTConfig | MMDiTConfig,
        *,
        ops: Any,
        attention: HostAttention,
        dtype: torch.dtype,
    ) -> None:
        super().__init__(config, ops=ops, attention=attention)
        self.host_attention = attention
        self.dtype = dtype  # of the weights: ComfyUI asks for it
        self.in_channels = config.io_channels  # RenormCFG asks for it

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor | None = None,
        transformer_options: dict[str, Any] | None = None,
        **conditions: Any,
    ) -> Tensor:
        """Predict what the model was trained to predict; step caches wrap it and may skip it.

        Args:
            x, timesteps, context, transformer_options, conditions: of `_forward`.
        """
        options = {} if transformer_options is None else transformer_options
        wrappers = get_all_wrappers(WrappersMP.DIFFUSION_MODEL, options)
        executor = WrapperExecutor.new_class_executor(self._forward, self, wrappers)
        return executor.execute(x, timesteps, context, options, **conditions)

    def _forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor | None,
        transformer_options: dict[str, Any],
        *,
        audiox_plan: Plan,
        audiox_conditions: tuple[Condition, ...],
        **_others: Any,
    ) -> Tensor:
        """Predict what the model was trained to predict.

        Args:
            x: noisy latents, `b c t`, scaled to unit variance.
            timesteps: diffusion time in [0, 1], `b`.
            context: condition tokens, `b w s d`.
            transformer_options: ComfyUI's.
            audiox_plan: the windows of the latent that is sampled.
            audiox_conditions: of the equal parts that the batch consists of.
        """
        if x.ndim != 3:
            raise SettingsError(
                f"A node changed the latent to the shape {tuple(x.shape)}, as of a picture: remove "
                "the node that patches the model."
            )
        if x.shape[-1] != audiox_plan.frames:
            raise SettingsError(
                f"A node cut the latent of {audiox_plan.frames} frames to {x.shape[-1]} (context "
                "windows, or a conditioning area). Remove it: AudioX handles any length "
                "itself. To regenerate a time range, use AudioX Inpaint Latent."
            )
        options, depth = transformer_options, len(self.transformer.layers)
        network, every = super().forward, [*range(len(audiox_conditions))]

        def forward(x: Tensor, t: Tensor, prepared: Prepared, parts: Sequence[int]) -> Tensor:
            own = options if parts == every else options_of_parts(options, parts)
            hooks = block_hooks(own, self.block_inputs, depth)
            self.host_attention.options = own
            try:
                return network(x, t, prepared, hooks=hooks)
            finally:
                self.host_attention.options = {}  # they hold what other nodes have loaded

        hooked = any(c.hooked for c in audiox_conditions)
        items = len(x) // len(audiox_conditions)  # of each part; all have the same tokens
        conditions = [
            None if c.null else context[part * items] for part, c in enumerate(audiox_conditions)
        ]
        return predict(
            self,
            x,
            timesteps,
            conditions,
            plan=audiox_plan,
            cache=None if hooked else options.get(RUN),
            key=audiox_conditions,
            forward=forward,
            active=[condition.windows for condition in audiox_conditions],
        )


class NativeDiT(_AnyLength, DiT):
    """The backbone of AudioX and AudioX-MAF."""

    block_inputs = MappingProxyType({"img": "x", "txt": "keys_values", "pe": "rotation"})


class NativeMMDiT(_AnyLength, MMDiT):
    """The backbone of AudioX-MAF-MMDiT, Base and Turbo."""

    block_inputs = MappingProxyType(
        {"img": "x", "txt": "modulation", "vec": "context", "pe": "rotation"}
    )


def native_backbone(config: DiTConfig | MMDiTConfig, **parts: Any) -> NativeDiT | NativeMMDiT:
    """The backbone of these sizes, of ComfyUI's layers, without weights.

    Args:
        config: of the backbone.
        parts: `ops`, `attention` and `dtype` of its constructor.
    """
    kind = NativeMMDiT if isinstance(config, MMDiTConfig) else NativeDiT
    return kind(config, **parts)
