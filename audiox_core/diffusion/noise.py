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


def brownian_noise(x: Tensor, sigmas: Tensor, seed: int) -> NoiseSampler:
    """The step noise of k-diffusion and ComfyUI: increments of one Brownian motion over sigma.

    Needs torchsde, which ComfyUI brings; its numbers may change between versions of it.

    Args:
        x: what is denoised, `b c t`; its shape and device count.
        sigmas: of the run.
        seed: of the motion.
    """
    from torchsde import BrownianTree

    levels = sigmas[sigmas > 0]
    low, high = levels.min().item(), levels.max().item()
    tree = BrownianTree(low, torch.zeros(x.shape), high, entropy=seed)

    def draw(sigma: float, next_sigma: float) -> Tensor:
        begin, end = sorted((sigma, next_sigma))
        increment = tree(begin, end)
        # the motion runs upwards in sigma, the sampler downwards
        sign = -1 if sigma > next_sigma else 1
        return (sign * increment / (end - begin) ** 0.5).to(x.device)

    return draw


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
