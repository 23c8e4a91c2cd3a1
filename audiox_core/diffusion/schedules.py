"""Sigma schedules: how the noise level falls from `sigma_max` to 0."""

from collections.abc import Callable
from math import log

import torch
from torch import Tensor

Schedule = Callable[..., Tensor]  # (steps, sigma_min, sigma_max) -> `steps + 1` sigmas


def polyexponential(
    steps: int, sigma_min: float = 0.3, sigma_max: float = 500.0, rho: float = 1.0
) -> Tensor:
    """The polyexponential schedule of k-diffusion, then 0.

    Args:
        steps: number of steps, at least 1.
        sigma_min, sigma_max: last positive and first noise level.
        rho: 1 gives a geometric series, which ComfyUI calls `exponential`.

    Returns:
        `steps + 1` sigmas, falling, float32.
    """
    # float64 inside: at 500 the exponential would lose the fifth digit
    ramp = torch.linspace(1, 0, steps, dtype=torch.float64) ** rho
    sigmas = torch.exp(log(sigma_min) + ramp * (log(sigma_max) - log(sigma_min)))
    return torch.cat([sigmas, sigmas.new_zeros(1)]).float()


def linear(steps: int, _sigma_min: float = 0.0, sigma_max: float = 1.0) -> Tensor:
    """Evenly spaced times of a rectified flow.

    Args:
        steps: number of steps, at least 1.
        _sigma_min: not used; the last step always goes to 0.
        sigma_max: the first time, at most 1.

    Returns:
        `steps + 1` times, falling to 0, float32.
    """
    return torch.linspace(min(1.0, sigma_max), 0, steps + 1, dtype=torch.float32)


def last_part(
    schedule: Schedule, steps: int, denoise: float, *, sigma_min: float, sigma_max: float
) -> Tensor:
    """The last `steps` steps of a longer schedule, of which they are the share `denoise`.

    As in ComfyUI: a run with `denoise` below 1 starts from an existing latent; the smaller the
    share, the less of it changes.

    Args:
        schedule: `polyexponential` or `linear`.
        steps: number of steps to run.
        denoise: above 0, at most 1.
        sigma_min, sigma_max: range of the whole schedule.

    Returns:
        `steps + 1` sigmas, falling to 0.
    """
    return schedule(int(steps / denoise), sigma_min, sigma_max)[-(steps + 1) :]
