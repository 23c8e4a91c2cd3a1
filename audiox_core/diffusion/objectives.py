"""What a network predicts, and how a solver reads a denoised estimate from it.

Two objectives were trained. Rectified flow (Liu et al. 2022, arXiv 2209.03003): the noisy latent
is (1 - t) latent + t noise, the network predicts noise - latent, and solvers count in sigma = t,
from 1 to 0.

v-prediction (Salimans & Ho 2022, arXiv 2202.00512) in continuous time: t in [0, 1] runs along a
quarter circle, alpha = cos(pi t / 2) on the signal, sigma = sin(pi t / 2) on the noise.
Solvers count in k-diffusion's sigma = noise / signal = tan(pi t / 2).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt

import torch
from torch import Tensor

from .schedules import Schedule, linear, polyexponential

Predict = Callable[[Tensor, Tensor], Tensor]  # noisy `b c t`, time `b` -> v `b c t`
Denoiser = Callable[[Tensor, float], Tensor]  # noisy `b c t`, sigma -> denoised estimate `b c t`
Noised = Callable[[Tensor, Tensor, float], Tensor]  # latent, unit noise, sigma -> noisy `b c t`
Scalings = Callable[[Tensor], tuple[Tensor, ...]]  # sigma `b` -> c_skip, c_out, … `b`
# step, x before the update, denoised estimate; what it writes into x is what the update uses
OnStep = Callable[[int, Tensor, Tensor], None]


def sigma_to_t(sigma: Tensor) -> Tensor:
    """Noise level of v-prediction -> diffusion time in [0, 1], any shape."""
    return sigma.atan() * 2 / pi


def alpha_sigma(t: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of the signal and the noise at time t of v-prediction; their squares add up to 1."""
    return (t * pi / 2).cos(), (t * pi / 2).sin()


def v_scalings(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """c_skip, c_out, c_in of Karras et al. 2022 (arXiv 2206.00364) for v and sigma_data = 1.

    Args:
        sigma: noise levels, `b`.

    Returns:
        Three factors, `b` each: denoised = c_skip x + c_out v(c_in x, t).
    """
    c_in = (sigma.square() + 1).rsqrt()
    return c_in.square(), -sigma * c_in, c_in


def v_denoiser(predict: Predict) -> Denoiser:
    """Turn a network that predicts v into the denoiser of a solver.

    Args:
        predict: noisy `b c t` of unit variance and times `b` -> v `b c t`.
    """

    def denoise(x: Tensor, sigma: float) -> Tensor:
        level = torch.tensor(sigma, dtype=torch.float32, device="cpu")  # no kernels, no copies
        c_skip, c_out, c_in = (c.item() for c in v_scalings(level))
        t = torch.full((len(x),), sigma_to_t(level).item(), dtype=torch.float32, device=x.device)
        return c_skip * x + c_out * predict(c_in * x, t)

    return denoise


def flow_scalings(sigma: Tensor) -> tuple[Tensor, Tensor]:
    """c_skip and c_out of a rectified flow, `b` each: the denoised estimate is x - sigma v."""
    return torch.ones_like(sigma), -sigma


def flow_denoiser(predict: Predict) -> Denoiser:
    """Turn a rectified flow into the denoiser of a solver: x - sigma v.

    Args:
        predict: noisy `b c t` and times `b` -> velocity `b c t`.
    """

    def denoise(x: Tensor, sigma: float) -> Tensor:
        level = torch.full((x.shape[0],), sigma, dtype=torch.float32, device=x.device)
        return x - sigma * predict(x, level)

    return denoise


def add_noise(latent: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """Add noise as v-prediction counts it: latent + sigma noise, `b c t` each."""
    return latent + noise * sigma


def add_full_noise(latent: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """Add noise of the highest level: latent + sqrt(1 + sigma^2) noise, `b c t` each.

    Scaled by c_in, the noise then has unit variance, as the network saw it in training at t = 1.
    ComfyUI starts a run of v-prediction in the same way.
    """
    return latent + noise * sqrt(1 + sigma**2)


def mix_noise(latent: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """Mix latent and noise as rectified flow does: (1 - sigma) latent + sigma noise."""
    return (1 - sigma) * latent + noise * sigma


@dataclass(frozen=True)
class Objective:
    """Everything in sampling that depends on what the network was trained to predict."""

    denoiser: Callable[[Predict], Denoiser]
    scalings: Scalings
    noised: Noised
    noised_fully: Noised  # at the highest noise level
    schedule: Schedule


OBJECTIVES = {
    "v": Objective(v_denoiser, v_scalings, add_noise, add_full_noise, polyexponential),
    "rectified_flow": Objective(flow_denoiser, flow_scalings, mix_noise, mix_noise, linear),
}
