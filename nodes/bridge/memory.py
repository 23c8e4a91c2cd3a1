"""How much memory a step takes, for ComfyUI to keep free beside the weights."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import comfy.model_management as mm

from ...audiox_core.config import AudioXConfig, MMDiTConfig
from ...audiox_core.pipeline.run_cache import LIMIT_BYTES, prepared_values
from ...audiox_core.windows import ITEMS_AT_ONCE

CONDITIONS = "audiox_conditions"  # in the shapes by which ComfyUI asks
SHARE = 8  # prepared conditions take at most this part of a GPU's memory


def cache_limit() -> int:
    """Bytes of prepared conditions that a run keeps on a device; the rest is prepared again."""
    return min(LIMIT_BYTES, int(mm.get_total_memory(mm.get_torch_device()) // SHARE))


def condition_shapes(conditioning: Mapping[str, Any]) -> dict[str, list[int]]:
    """The shape of a conditioning's tokens; none of the null condition, of which little is kept."""
    tokens = conditioning.get("cross_attn")
    return {} if tokens is None or not tokens.any() else {CONDITIONS: list(tokens.shape)}


def step_bytes(
    audiox: AudioXConfig, shape: Sequence[int], conditions: int, bytes_of_a_value: int
) -> float:
    """Memory of one step, counted from the layers, with the conditions that a run keeps.

    Args:
        audiox: of the model.
        shape: of the latents of all branches together, `b c t`.
        conditions: that are not null.
        bytes_of_a_value: of the dtype that is computed in.
    """
    dit, window = audiox.dit, audiox.latent.window
    windows = max(1, ceil(shape[-1] / window))
    rows = min(shape[0] * windows, max(ITEMS_AT_ONCE, shape[0]))
    # what a block holds at its widest for each frame and width, where torch normalizes q and k of
    # an MMDiT in float32 step by step; 8 for a condition token
    widest = 49 if isinstance(dit, MMDiTConfig) else 24
    values = rows * dit.width * (widest * window + 8 * audiox.tokens)
    one = prepared_values(audiox)
    if isinstance(dit, MMDiTConfig):  # each group of windows has modulations of null, too
        group = min(windows, ITEMS_AT_ONCE) + 1
        kept = windows * conditions + ceil(windows * shape[0] / ITEMS_AT_ONCE)
        values += group * one
    else:  # keys and values of each item of the batch; those of one window are counted above
        group, kept = 1, windows * conditions * max(1, shape[0] // 2)
    if windows == 1:  # nothing more is kept; ComfyUI asks at every step, and asking it back is slow
        return values * bytes_of_a_value
    beyond = min(cache_limit(), kept * one * bytes_of_a_value) - group * one * bytes_of_a_value
    return values * bytes_of_a_value + max(0, beyond)
