"""The same model before training: what any figure has to be held against."""

from copy import deepcopy
from dataclasses import replace

import torch

from ..checkpoint import Checkpoint

SEED = 0


def untrained(checkpoint: Checkpoint) -> Checkpoint:
    """A copy whose transformer and conditioners know nothing; the VAE and the words stay."""
    model, conditioners = deepcopy(checkpoint.model), deepcopy(checkpoint.conditioners)
    draw = torch.Generator().manual_seed(SEED)
    for module in (model, conditioners.text, conditioners.video):
        for name, parameter in module.named_parameters():
            if parameter.ndim >= 2:
                known = name.endswith(("feat", "embedding"))  # drawn as they are
                spread = 1.0 if known else parameter[0].numel() ** 0.5
                drawn = torch.randn(parameter.shape, generator=draw)
                parameter.data.copy_(drawn / spread)
    return replace(checkpoint, model=model, conditioners=conditioners)
