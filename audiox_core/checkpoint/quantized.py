"""Layers whose weights are stored in eight bits or fewer, in the layouts of ComfyUI.

The older layout, read by every ComfyUI: a tensor `scaled_fp8` for the model, and a `scale_weight`
beside the float8 `weight` of a layer. The newer one: settings as JSON, in a tensor `comfy_quant` of
the layer or in the file's header, and a `weight_scale`. Everywhere in this package the scales have
their newer names.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .saved_names import text_tensor

MARKER = "scaled_fp8"  # of the older layout; two elements: products in full precision
QUANTIZATION = "_quantization_metadata"  # in a header, of all layers
SETTINGS = "comfy_quant"  # of the newer layout
FULL_PRECISION = "full_precision_matrix_mult"
OLDER = {"scale_weight": "weight_scale", "scale_input": "input_scale"}
PIECES = (
    "weight_scale", "input_scale", "weight_scale_2", "pre_quant_scale", "weight_s_rel",
    "weight_s_channel", "weight_codebook",
)  # fmt: skip
HALVED = ("nvfp4", "convrot_w4a4", "asym_w4a8_int8")  # two numbers in a byte, along the last axis
FLOAT8 = {torch.float8_e4m3fn: "float8_e4m3fn", torch.float8_e5m2: "float8_e5m2"}

# A power of two changes no digits of a weight or an input, in whichever dtype they are multiplied.
# float8_e4m3fn reaches to 448, but sums of such weights would leave the range of float16; at 16
# only weights below a thousandth of the largest one lose precision.
LARGEST = 16.0


@dataclass(frozen=True)
class Layer:
    """How the weight of a layer is stored."""

    settings: Mapping[str, Any]  # ComfyUI's
    pieces: Mapping[str, str]  # what lies beside the weight, of `PIECES` -> its name

    @property
    def format(self) -> str:
        """ComfyUI's name of the format."""
        return str(self.settings.get("format"))

    @property
    def is_float8(self) -> bool:
        """Whether the weight is float8 numbers times a scale."""
        return self.format in FLOAT8.values() and self.pieces.keys() <= {*OLDER.values()}

    @property
    def needs_host(self) -> bool:
        """Whether only ComfyUI's own layers can read the weight."""
        rotated = self.settings.get("convrot") or "convrot" in str(self.settings.get("params"))
        int8 = self.format == "int8_tensorwise" and self.pieces.keys() == {"weight_scale"}
        return not self.is_float8 and not (int8 and not rotated)

    def shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        """The weight's shape, from that of the stored tensor."""
        return (*stored[:-1], 2 * stored[-1]) if self.format in HALVED and stored else stored


def find_layers(
    tensors: Mapping[str, Any],
    header: Mapping[str, str],
    names: Mapping[str, str],
    read: Callable[[str], Tensor],
) -> dict[str, Layer]:
    """The quantized layers of a file, by the name of their weight.

    Args:
        tensors: name -> something with its `shape` and `dtype`.
        header: of the file.
        names: name -> in the file.
        read: a tensor by its name.

    Raises:
        ValueError: the settings of a layer cannot be read.
    """
    known = json.loads(header.get(QUANTIZATION, "{}")).get("layers", {})
    found: dict[str, Layer] = {}
    full = any(n.endswith(MARKER) and tensors[n].shape == (2,) for n in tensors)
    for name in tensors:
        stem = name.removesuffix("weight")
        if stem == name or (stem and not stem.endswith(".")):
            continue
        older = {new: stem + old for old, new in OLDER.items() if stem + old in tensors}
        pieces = older | {piece: stem + piece for piece in PIECES if stem + piece in tensors}
        settings = known.get(names.get(name, name).removesuffix(".weight"))
        if stem + SETTINGS in tensors:
            settings = json.loads(read(stem + SETTINGS).numpy().tobytes())
        elif settings is None and "weight_scale" in older and tensors[name].dtype in FLOAT8:
            settings = {"format": FLOAT8[tensors[name].dtype]}
            settings |= {FULL_PRECISION: True} if full else {}
        if settings is not None:
            if not isinstance(settings, dict):
                raise ValueError(f"the quantization of '{name}' is not a table")
            found[name] = Layer(settings, pieces)
    return found


def settings_tensor(settings: Mapping[str, Any]) -> Tensor:
    """A layer's settings as ComfyUI stores them."""
    return text_tensor(json.dumps(dict(settings)))


def dequantize(weight: Tensor, scale: Tensor) -> Tensor:
    """The numbers of a weight, float32.

    Args:
        weight: as stored, of a layer that does not need ComfyUI.
        scale: of the whole weight, or of each row.
    """
    rows = (-1, *[1] * (weight.ndim - 1))
    return weight.float().mul_(scale.float().reshape(rows if scale.numel() > 1 else ()))


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight as float8_e4m3fn and its scale, a power of two, float32 without an axis."""
    largest = weight.abs().max().float()
    scale = torch.exp2((largest / LARGEST).log2().ceil().clamp(-100, 100))
    return (weight.float() / scale).to(torch.float8_e4m3fn), scale
