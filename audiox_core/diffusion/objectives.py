"""What the network predicts, and how a solver reads a clean estimate out of it.

v-prediction (Salimans & Ho 2022, arXiv 2202.00512) in continuous time: t in [0, 1] runs along a
quarter circle, alpha = cos(pi t / 2) on the clean signal, sigma = sin(pi t / 2) on the noise.
Solvers count in k-diffusion's sigma = noise / signal = tan(pi t / 2).
"""

from collections.abc import Callable
from math import pi

import torch
from torch import Tensor

Predict = Callable[[Tensor, Tensor], Tensor]  # noisy `b c t`, time `b` -> v `b c t`
Denoiser = Callable[[Tensor, float], Tensor]  # noisy `b c t`, sigma -> clean estimate `b c t`
# step, x before the update, clean estimate; what it writes into x is what the update uses
OnStep = Callable[[int, Tensor, Tensor], None]


def sigma_to_t(sigma: Tensor) -> Tensor:
    """Noise level -> diffusion time in [0, 1]."""
    return sigma.atan() * 2 / pi


def t_to_sigma(t: Tensor) -> Tensor:
    """Diffusion time in [0, 1] -> noise level."""
    return (t * pi / 2).tan()


def alpha_sigma(t: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of clean signal and noise at time t; their squares add up to 1."""
    return (t * pi / 2).cos(), (t * pi / 2).sin()


def v_scalings(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """c_skip, c_out, c_in of Karras et al. 2022 (arXiv 2206.00364) for v and sigma_data = 1."""
    c_in = (sigma.square() + 1).rsqrt()
    return c_in.square(), -sigma * c_in, c_in


def v_denoiser(predict: Predict) -> Denoiser:
    """A v-predicting network as a solver's denoiser: c_skip x + c_out v(c_in x, t)."""

    def denoise(x: Tensor, sigma: float) -> Tensor:
        level = torch.full((x.shape[0],), sigma, dtype=torch.float32, device=x.device)
        c_skip, c_out, c_in = (c[:, None, None] for c in v_scalings(level))
        return c_skip * x + c_out * predict(c_in * x, sigma_to_t(level))

    return denoise
