"""Every random number of a run, from one seed, without touching the global generators.

Noise is drawn on the CPU in float32 and moved: the same seed sounds the same on every device.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b

import torch
from torch import Tensor

NoiseSampler = Callable[..., Tensor]  # (sigma, next sigma) -> unit noise `b c t`


def initial_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """Where a run begins: the numbers that ComfyUI draws for the same seed and shape."""
    return unit_noise(shape, torch.Generator().manual_seed(seed))


def unit_noise(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard normal float32 on the CPU, whatever default a host has set."""
    return torch.randn(shape, generator=generator, dtype=torch.float32)


def stream(seed: int, purpose: str) -> torch.Generator:
    """A generator of its own for each purpose: using one more or less leaves the others alone."""
    digest = blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


def step_noise(
    x: Tensor, seed: int, purpose: str = "step", items: Sequence[int] | None = None
) -> NoiseSampler:
    """Fresh noise at every step of an SDE solver; item k of a batch has a stream of its own.

    A Brownian tree (k-diffusion) has the same law for a fixed list of sigmas.

    Args:
        x: what is denoised, `b c t`; its shape and device count.
        seed, purpose: of the streams.
        items: which items of a larger batch these are; None: the first ones.
    """
    numbers = range(len(x)) if items is None else items
    streams = [stream(seed, f"{purpose} noise of item {number}") for number in numbers]

    def draw(*_sigmas: float) -> Tensor:
        noise = torch.stack([unit_noise(x.shape[1:], s) for s in streams])
        return noise.to(x.device)

    return draw
