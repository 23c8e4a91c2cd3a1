"""All random numbers of a run, from one seed, without touching the global generators.

Noise is drawn on the CPU in float32 and then moved: the same seed sounds the same on every device.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b

import torch
from torch import Tensor

NoiseSampler = Callable[..., Tensor]  # (sigma, next sigma) -> unit noise `b c t`


def initial_noise(shape: tuple[int, ...], seed: int) -> Tensor:
    """Unit noise that a run starts from: the numbers that ComfyUI draws for this seed and shape.

    Args:
        shape: of the latent, `b c t`.
        seed: 0 to 2^64 - 1.
    """
    return unit_noise(shape, torch.Generator().manual_seed(int(seed)))  # it may be NumPy's


def unit_noise(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard normal noise, float32 on the CPU, whatever default dtype a host has set."""
    return torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")


def on_device(noise: Tensor, device: torch.device) -> Tensor:
    """Move noise to a device; to a GPU without waiting for what it still computes."""
    if device.type == "cuda":  # elsewhere a copy that nobody waits for may be read too early
        return noise.pin_memory().to(device, non_blocking=True)
    return noise.to(device)


def stream(seed: int, purpose: str) -> torch.Generator:
    """A generator for one purpose: drawing more from it does not change the other purposes.

    Args:
        seed: of the run.
        purpose: any name.
    """
    digest = blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


def step_noise(x: Tensor, seed: int, items: Sequence[int] | None = None) -> NoiseSampler:
    """New noise at every step of an SDE solver, with a random stream for each batch item.

    Its distribution is that of a Brownian tree (k-diffusion) for a fixed list of sigmas.

    Args:
        x: the latent, `b c t`; only its shape and device are used.
        seed: of the run.
        items: which items of a larger batch these are; None means the first ones.

    Returns:
        (sigma, next sigma) -> unit noise `b c t`.
    """
    numbers = range(len(x)) if items is None else items
    streams = [stream(seed, f"step noise of item {number}") for number in numbers]

    def draw(*_sigmas: float) -> Tensor:
        return on_device(torch.stack([unit_noise(x.shape[1:], s) for s in streams]), x.device)

    return draw
