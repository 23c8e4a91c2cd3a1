"""Networks: weights in, tensors out. No files, no solvers."""

from typing import Any

from torch import nn

from ..config import DiTConfig, MMDiTConfig
from .attention import AttentionFn, torch_attention
from .dit import Context, DiT
from .mmdit import MMDiT, Modulations

Backbone = DiT | MMDiT  # both: `prepare(tokens, rows)` once a run, `forward(x, t, prepared)` a step
Prepared = Context | Modulations


def backbone(
    config: DiTConfig | MMDiTConfig, *, ops: Any = nn, attention: AttentionFn = torch_attention
) -> Backbone:
    """Build the diffusion transformer of these sizes, without weights.

    Args:
        config: a DiTConfig or an MMDiTConfig.
        ops: namespace of the layers, such as ComfyUI's casting ones.
        attention: the kernel, 3 x `b h l d` -> `b l (h d)`.
    """
    if isinstance(config, MMDiTConfig):
        return MMDiT(config, ops=ops, attention=attention)
    return DiT(config, ops=ops, attention=attention)
