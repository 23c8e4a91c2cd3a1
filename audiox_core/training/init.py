"""Modules with the weights that training begins from (specification 7.3).

The libraries draw them from torch's global generator: it is put back as it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..config import OobleckConfig
from ..models.oobleck import Oobleck


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let torch's global generator begin at `seed`, and go on as before behind the block."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def new_vae(config: OobleckConfig, seed: int) -> Oobleck:
    """A VAE with torch's own initial weights."""
    with seeded(seed):
        return Oobleck(config)
