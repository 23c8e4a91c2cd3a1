"""Quantized weights as ComfyUI's own layers compute with them.

ComfyUI 0.3.64 has layers for float8 with a scale; newer ones have layers for mixed precision, which
read these and int8, nvfp4 and mxfp8. Neither has such convolutions: those are here. Versions in
between have neither in this form: there, plain numbers are loaded.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cache
from typing import Any

import comfy.float
import comfy.ops
import torch
from torch import Tensor, nn

from ...audiox_core.checkpoint.checkpoint_file import CheckpointFile
from ...audiox_core.checkpoint.quantized import FULL_PRECISION, OLDER, SETTINGS
from ...audiox_core.checkpoint.scaled_float8 import SCALED_FLOAT8, scaled_float8
from ...audiox_core.checkpoint.weight_file import WeightFile

logger = logging.getLogger(__name__)

SCALED = hasattr(comfy.ops, "scaled_fp8_ops")  # of older ComfyUIs
try:  # all that is used of newer ones; some versions have a part of it
    from comfy.ops import mixed_precision_ops  # noqa: F401
    from comfy.quant_ops import _CK_AVAILABLE, QUANT_ALGOS
    from comfy.utils import detect_layer_quantization
except ImportError:
    MIXED = False
else:
    MIXED = True
KEPT = ("default", SCALED_FLOAT8, "float8_e4m3fn")  # choices that keep a quantized file as it is


def as_stored(file: CheckpointFile, weight_dtype: str) -> CheckpointFile | None:
    """The file if its quantized layers are loaded as they are; None: plain numbers are loaded.

    Args:
        file: of the checkpoint.
        weight_dtype: the choice of the user; float8_scaled quantizes the layers of any file.
    """
    weights = file.weights
    if weights.packed is not None and weight_dtype in KEPT:
        if _can_compute(weights.packed):
            return file
        logger.info("This ComfyUI has no layers for the format of %s.", weights.path.name)
    if weight_dtype != SCALED_FLOAT8:
        return None
    packed = scaled_float8(weights, older=False)
    if _can_compute(packed):
        return replace(file, weights=replace(weights, packed=packed))
    logger.warning(
        "This ComfyUI has no layers for float8 with scales: the weights of %s are loaded as float8 "
        "without scales, with more loss. Update ComfyUI, or choose float16 or bfloat16.",
        weights.path.name,
    )
    return None


def _can_compute(packed: WeightFile) -> bool:
    """Whether ComfyUI has layers for all formats of a file."""
    if MIXED:
        formats = {layer.format for layer in packed.layers.values()}
        return _CK_AVAILABLE and formats <= QUANT_ALGOS.keys()
    if not SCALED:
        return False
    scales = [stored for name, stored in packed.tensors.items() if name.endswith("weight_scale")]
    one_each = all(scale.elements == 1 for scale in scales)
    return one_each and all(layer.is_float8 for layer in packed.layers.values())


def announce(host: Any, file: CheckpointFile) -> None:
    """Tell ComfyUI's config of a model that its layers are quantized."""
    packed = file.weights.packed
    if MIXED:
        host.quant_config = detect_layer_quantization(dict(packed.tensors), "")
        return
    host.scaled_fp8 = torch.float8_e4m3fn
    settings = [layer.settings for layer in packed.layers.values()]
    host.optimizations["fp8"] = not any(s.get(FULL_PRECISION) for s in settings)


def with_scaled_convolutions(operations: Any) -> Any:
    """ComfyUI's layers, where a convolution may be float8 with a scale, too."""
    return type("ScaledOperations", (operations,), {"Conv1d": scaled_conv(operations.Conv1d)})


@cache  # ComfyUI makes classes of linear layers for each model, but not of convolutions
def scaled_conv(conv: type) -> type:
    """A subclass of a host's `Conv1d` whose weight may have a scale."""

    class ScaledConv1d(conv):
        """A convolution whose input is multiplied by the scale of its weight."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.scale_weight = nn.Parameter(torch.ones((), dtype=torch.float32), False)

        def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            return super().forward(x * self.scale_weight.to(x), *args, **kwargs)

        def convert_weight(self, weight: Tensor, **_options: Any) -> Tensor:
            """ComfyUI adds a LoRA to this."""
            return weight * self.scale_weight.to(weight)

        def set_weight(
            self,
            weight: Tensor,
            inplace_update: bool = False,
            seed: int | None = None,
            return_weight: bool = False,
            **_options: Any,
        ) -> Tensor | None:
            """ComfyUI hands back a patched weight here."""
            rounded = comfy.float.stochastic_rounding(
                weight / self.scale_weight.to(weight), self.weight.dtype, seed=seed
            )
            if return_weight:
                return rounded
            if inplace_update:
                self.weight.data.copy_(rounded)
            else:
                self.weight = nn.Parameter(rounded, requires_grad=False)
            return None

    return ScaledConv1d


def find_scales(build: Callable[[], nn.Module]) -> list[str]:
    """The scales that a module's layers want, by name."""
    with torch.device("meta"):
        parameters = [name for name, _ in build().named_parameters()]
    return [name for name in parameters if name.endswith((*OLDER,))]


def host_state(state: dict[str, Tensor], scales: Collection[str]) -> dict[str, Tensor]:
    """Stored tensors, scales with their newer names -> those that ComfyUI's layers read.

    Args:
        state: of the module.
        scales: that the layers want under their older names; 1 where a layer is not quantized.
    """
    state = dict(state)
    for name in [n for n in state if n.endswith(f".{SETTINGS}")]:
        stem = name.removesuffix(SETTINGS)
        if MIXED and f"{stem}scale_weight" not in scales:
            continue
        del state[name]
        for older, newer in OLDER.items():
            scale = state.pop(stem + newer, None)
            if scale is not None and stem + older in scales:
                state[stem + older] = scale
    return {name: torch.ones((), dtype=torch.float32) for name in scales} | state
