"""Sigma schedules: how the noise level falls from `sigma_max` to 0."""

from math import log

import torch
from torch import Tensor


def polyexponential(
    steps: int, sigma_min: float = 0.3, sigma_max: float = 500.0, rho: float = 1.0
) -> Tensor:
    """`steps + 1` sigmas, falling; geometric from `sigma_max` to `sigma_min` at rho 1, then 0.

    ComfyUI calls the case rho = 1 `exponential`.
    """
    # float64 inside: at 500 the exponential would lose the fifth digit
    ramp = torch.linspace(1, 0, steps, dtype=torch.float64) ** rho
    sigmas = torch.exp(log(sigma_min) + ramp * (log(sigma_max) - log(sigma_min)))
    return torch.cat([sigmas, sigmas.new_zeros(1)]).float()
