"""A model's file with another decoder for the same latents."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ...checkpoint.convert import cast
from ...checkpoint.layout import VAE
from ...checkpoint.weight_file import open_weights
from ...checkpoint.write import write_safetensors
from ...training.export import unfold_weight_norm

DECODER = "decoder."


def has_own_vae(model: Path) -> bool:
    """Whether a file is one of ours, in plain numbers, that holds its VAE."""
    file = open_weights(model)
    return "audiox" in file.header and bool(file.below(VAE + DECODER)) and file.packed is None


def replace_decoder(
    model: Path, vae: Mapping[str, Tensor], output: Path, record: Mapping[str, Any]
) -> None:
    """Write a model whose encoder is its own, so that its VAE is still stored once.

    Args:
        model: for which `has_own_vae` is true.
        vae: weights of an `Oobleck` of the same sizes; those of the decoder are used.
        output: the file to write.
        record: how the decoder was trained, for the header.

    Raises:
        WeightsError: the file cannot be written.
    """
    file = open_weights(model)
    new = {
        VAE + name: tensor
        for name, tensor in unfold_weight_norm(vae).items()
        if name.startswith(DECODER)
    }

    def read(name: str) -> Tensor:
        if name in new:
            return cast(new[name].contiguous(), file.tensors[name].dtype, name)
        return file.copy(name)

    trained = json.loads(file.header.get("trained", "{}")) | {"decoder": dict(record)}
    write_safetensors(output, file.tensors, read, file.header | {"trained": json.dumps(trained)})
