"""Learning rates and the average of the weights (the schedules of the AudioX release)."""

from collections.abc import Iterable
from math import cos, pi

import torch
from torch import Tensor

from .config import EmaConfig, OptimConfig


def learning_rate(step: int, config: OptimConfig, steps: int) -> float:
    """Learning rate of a step of `steps`, by the schedule of a config.

    "inverse" is an exponential warm-up, then a slow inverse decay; "cosine" a linear warm-up, then
    half a cosine to 0; "constant" the linear warm-up alone.
    """
    if config.schedule == "inverse":
        rising = 1 - config.warmup ** (step + 1)
        return config.lr * rising * (1 + step / config.inv_gamma) ** -config.power
    rising = min(1.0, (step + 1) / (config.warmup_steps + 1))
    if config.schedule == "constant" or steps <= config.warmup_steps:
        return config.lr * rising
    share = max(step - config.warmup_steps, 0) / (steps - config.warmup_steps)
    return config.lr * rising * (1 + cos(pi * min(share, 1.0))) / 2


def ema_decay(step: int, config: EmaConfig) -> float:
    """How much of the average stays at a step: nothing at first, `config.beta` in the end."""
    done = max(step - config.update_after - 1, 0)
    return min(max(1 - (1 + done / config.inv_gamma) ** -config.power, 0.0), config.beta)


@torch.no_grad()
def update_average(average: Iterable[Tensor], weights: Iterable[Tensor], decay: float) -> None:
    """Move averaged weights towards the new ones, in place."""
    torch._foreach_lerp_([*average], [weight.detach() for weight in weights], 1 - decay)
