"""Learning rates and the average of the weights (the schedules of the AudioX release)."""

from collections.abc import Iterable
from math import cos, pi

import torch
from torch import Tensor

from .config import OptimConfig


def learning_rate(step: int, config: OptimConfig, steps: int) -> float:
    """Learning rate of a step of `steps`, by the schedule of a config."""
    if config.schedule == "inverse":
        return inverse_lr(
            step, config.lr, inv_gamma=config.inv_gamma, power=config.power, warmup=config.warmup
        )
    total = steps if config.schedule == "cosine" else 0
    return cosine_lr(step, config.lr, warmup_steps=config.warmup_steps, steps=total)


def inverse_lr(
    step: int,
    base: float = 5e-5,
    *,
    inv_gamma: float = 1e6,
    power: float = 0.5,
    warmup: float = 0.99,
) -> float:
    """Learning rate of a step: an exponential warm-up, then a slow inverse decay."""
    return base * (1 - warmup ** (step + 1)) * (1 + step / inv_gamma) ** -power


def cosine_lr(step: int, base: float, *, warmup_steps: int = 0, steps: int = 0) -> float:
    """Learning rate of a step: a linear warm-up, then half a cosine to 0; `steps` 0: constant."""
    rising = min(1.0, (step + 1) / (warmup_steps + 1))
    if steps <= warmup_steps:
        return base * rising
    share = max(step - warmup_steps, 0) / (steps - warmup_steps)
    return base * rising * (1 + cos(pi * min(share, 1.0))) / 2


def ema_decay(
    step: int,
    *,
    beta: float = 0.9999,
    power: float = 0.75,
    inv_gamma: float = 1.0,
    update_after: int = 1,
) -> float:
    """How much of the average stays at a step: nothing at first, `beta` in the end."""
    done = max(step - update_after - 1, 0)
    if done == 0:
        return 0.0
    return min(max(1 - (1 + done / inv_gamma) ** -power, 0.0), beta)


@torch.no_grad()
def update_average(average: Iterable[Tensor], weights: Iterable[Tensor], decay: float) -> None:
    """Move averaged weights towards the new ones, in place."""
    torch._foreach_lerp_([*average], [weight.detach() for weight in weights], 1 - decay)
