"""A checkpoint file of any size with random weights: it is loaded and run as a released one."""

from pathlib import Path

import torch
from torch import Tensor

from ...checkpoint.checkpoint_file import EMBEDDED
from ...checkpoint.layout import (
    SYNC,
    SYNC_ENCODER,
    TEXT,
    released_layout,
    synchformer_layout,
    text_layout,
    used,
)
from ...checkpoint.weight_file import Shape, Stored, open_weights
from ...checkpoint.write import write_safetensors
from ...config import AudioXConfig


def write_random(path: Path, config: AudioXConfig) -> None:
    """Write all parts, text encoder and tokenizer too, one tensor at a time.

    Raises WeightsError where there is no room.
    """
    layout = released_layout(config, prompt_vae=False) | text_layout(config.text, TEXT)
    if config.video.sync is not None:
        layout |= synchformer_layout(config.video.sync.encoder, SYNC + SYNC_ENCODER)
    tensors = {name: Stored(layout[name], torch.float32) for name in [*used(layout)]}
    generator = torch.Generator().manual_seed(0)
    tokenizer = open_weights(EMBEDDED).header["tokenizer"]
    write_safetensors(
        path,
        tensors,
        lambda name: _tensor(name, layout[name], generator),
        {"format": "pt", "audiox": config.to_json(), "tokenizer": tokenizer},
    )


def _tensor(name: str, shape: Shape, generator: torch.Generator) -> Tensor:
    """Numbers that neither die out nor run over on their way."""
    if name.endswith(("weight_g", "gamma")) or (
        len(shape) == 1 and "norm" in name and name.endswith("weight")
    ):
        return torch.ones(shape)
    if len(shape) == 1:
        return torch.zeros(shape)
    return 0.02 * torch.randn(shape, generator=generator)
