"""Sigma schedules: how the noise level falls from `sigma_max` to 0."""

from collections.abc import Callable
from math import log

import torch
from torch import Tensor

Schedule = Callable[..., Tensor]  # (steps, sigma_min, sigma_max) -> `steps + 1` sigmas


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


def linear(steps: int, _sigma_min: float = 0.0, sigma_max: float = 1.0) -> Tensor:
    """`steps + 1` times of a rectified flow, evenly from `sigma_max` (at most 1) to 0.

    The smallest noise level has no part in it: the last step always goes to 0.
    """
    return torch.linspace(min(1.0, sigma_max), 0, steps + 1)


def last_part(
    schedule: Schedule, steps: int, denoise: float, *, sigma_min: float, sigma_max: float
) -> Tensor:
    """The last `steps` of a schedule, of which they are the share `denoise` (0..1].

    As ComfyUI means `denoise`: a run starts from an initial latent; the smaller the share, the
    less it changes.
    """
    return schedule(int(steps / denoise), sigma_min, sigma_max)[-(steps + 1) :]
