"""How weights move: learning rate and the average that is kept (specification 10.1)."""

from collections.abc import Iterable
from math import cos, pi

import torch
from torch import Tensor


def inverse_lr(
    step: int, base: float = 5e-5, *,
    inv_gamma: float = 1e6, power: float = 0.5, warmup: float = 0.99,
) -> float:  # fmt: skip
    """Learning rate of a step: an exponential warm-up, then a slow inverse decay."""
    return base * (1 - warmup ** (step + 1)) * (1 + step / inv_gamma) ** -power


def cosine_lr(step: int, base: float, *, warmup_steps: int = 0, steps: int = 0) -> float:
    """Learning rate of a step: a linear warm-up, then half a cosine down to 0; `steps` 0: level."""
    rising = min(1.0, (step + 1) / (warmup_steps + 1))
    if steps <= warmup_steps:
        return base * rising
    way = max(step - warmup_steps, 0) / (steps - warmup_steps)
    return base * rising * (1 + cos(pi * min(way, 1.0))) / 2


def ema_decay(
    step: int, *, beta: float = 0.9999, power: float = 0.75, inv_gamma: float = 1.0,
    update_after: int = 1,
) -> float:  # fmt: skip
    """How much of the average stays at a step: nothing at first, `beta` in the end."""
    done = max(step - update_after - 1, 0)
    if done == 0:
        return 0.0
    return min(max(1 - (1 + done / inv_gamma) ** -power, 0.0), beta)


@torch.no_grad()
def update_average(average: Iterable[Tensor], weights: Iterable[Tensor], decay: float) -> None:
    """Move averaged weights towards the new ones, in place."""
    torch._foreach_lerp_([*average], [weight.detach() for weight in weights], 1 - decay)
