"""How weights move: learning rate and the average that is kept (specification 10.1)."""

import torch
from torch import nn


def inverse_lr(
    step: int, base: float = 5e-5, *,
    inv_gamma: float = 1e6, power: float = 0.5, warmup: float = 0.99,
) -> float:  # fmt: skip
    """Learning rate of a step: an exponential warm-up, then a slow inverse decay."""
    return base * (1 - warmup ** (step + 1)) * (1 + step / inv_gamma) ** -power


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
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move an averaged copy towards the model, in place."""
    for kept, new in zip(average.parameters(), model.parameters(), strict=True):
        kept.lerp_(new.to(kept), 1 - decay)
    for kept, new in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(new)
