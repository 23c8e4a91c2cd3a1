"""The layers of a transformer as float8 with a scale, a quarter of the size of float32."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from .layout import DIT
from .modules import check_numbers
from .quantized import (
    FULL_PRECISION,
    MARKER,
    SETTINGS,
    Layer,
    quantize,
    settings_tensor,
)
from .weight_file import Stored, WeightFile

SCALED_FLOAT8 = "float8_scaled"  # beside the names of torch's dtypes
FLOAT8 = torch.float8_e4m3fn
# products in full precision: float8 inputs would cost far more than the weights do
SETTINGS_OF_A_LAYER = {"format": "float8_e4m3fn", FULL_PRECISION: True}


def scaled_float8(file: WeightFile, *, older: bool) -> WeightFile:
    """The file with float8 layers; each is made when it is read.

    Norms, biases, and everything outside the transformer's layers stay as they are.

    Args:
        file: of a model, of plain numbers.
        older: the layout that every ComfyUI reads; else the newer one.
    """
    tensors, computed, layers = dict(file.tensors), dict(file.computed), {}
    scales: dict[str, Tensor] = {}  # of the weights that were made

    def weight(name: str) -> Tensor:
        made, scales[name] = quantize(check_numbers(file, name, file.copy(name)))
        return made

    def scale_of(name: str) -> Tensor:
        if name not in scales:
            weight(name)
        return scales[name]

    def add(name: str, shape: tuple[int, ...], dtype: torch.dtype, make: Callable) -> None:
        tensors[name], computed[name] = Stored(shape, dtype, packed=True), make

    for name, stored in file.tensors.items():
        if not is_matrix_of_a_layer(name, stored):
            continue
        scale = name.removesuffix("weight") + ("scale_weight" if older else "weight_scale")
        add(name, stored.shape, FLOAT8, partial(weight, name))
        add(scale, (), torch.float32, partial(scale_of, name))
        layers[name] = Layer(SETTINGS_OF_A_LAYER, {"weight_scale": scale})
        if not older:
            settings = settings_tensor(SETTINGS_OF_A_LAYER)
            make = partial(torch.clone, settings)
            add(name.removesuffix("weight") + SETTINGS, tuple(settings.shape), torch.uint8, make)
    if older:
        add(DIT + MARKER, (2,), FLOAT8, partial(torch.zeros, 2, dtype=FLOAT8))
    return replace(file, tensors=tensors, computed=computed, layers=layers)


def is_matrix_of_a_layer(name: str, stored: Stored) -> bool:
    """Whether a tensor is the weight of a linear layer or a convolution in the transformer."""
    return (
        stored.is_matrix
        and name.endswith(".weight")
        and name.startswith(f"{DIT}transformer.layers.")
    )
