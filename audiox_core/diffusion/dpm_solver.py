"""DPM-Solver in its noise-prediction form, with a fixed budget or with adaptive steps.

Lu et al. 2022 (arXiv 2206.00927), orders 1 to 3 and algorithm 2 (adaptive). Here lambda = -log
sigma, eps = (x - denoised) / sigma, and both solvers run from the first sigma to the last positive
one; `to_zero` adds the step from there to the denoised estimate.
"""

from dataclasses import dataclass, field
from math import atan

import torch
from torch import Tensor

from .objectives import Denoiser, OnStep

_ACCEPT = 0.81  # smallest factor of the step controller at which a step is taken


@dataclass
class _Step:
    """One step of lambda from `begin` to `end`; what several orders share is computed once.

    lambda is a float32 tensor: at high noise the two orders of the adaptive solver differ by
    rounding alone, and its step size follows that difference.
    """

    denoise: Denoiser
    x: Tensor
    begin: Tensor
    end: Tensor
    eps: Tensor  # at the beginning
    _ahead: dict[float, Tensor] = field(default_factory=dict)  # order 2's eps by its r

    @property
    def h(self) -> Tensor:
        return self.end - self.begin

    def first(self, part: float = 1.0) -> Tensor:
        """Order 1 over a part of the step."""
        return self.x - _sigma(self.begin + part * self.h) * (part * self.h).expm1() * self.eps

    def eps_ahead(self, r: float) -> Tensor:
        if r not in self._ahead:
            self._ahead[r] = _eps(self.denoise, self.first(r), self.begin + r * self.h)
        return self._ahead[r]

    def second(self, r: float = 1 / 2) -> Tensor:
        bend = self.eps_ahead(r) - self.eps
        return self.first() - _sigma(self.end) / (2 * r) * self.h.expm1() * bend

    def third(self, r1: float = 1 / 3, r2: float = 2 / 3) -> Tensor:
        bend = self.eps_ahead(r1) - self.eps
        middle, h = self.begin + r2 * self.h, r2 * self.h
        ahead = self.first(r2) - _sigma(middle) * (r2 / r1) * (h.expm1() / h - 1) * bend
        bend = _eps(self.denoise, ahead, middle) - self.eps
        return self.first() - _sigma(self.end) / r2 * (self.h.expm1() / self.h - 1) * bend


def _sigma(lam: Tensor) -> Tensor:
    return lam.neg().exp()


def _eps(denoise: Denoiser, x: Tensor, lam: Tensor) -> Tensor:
    return (x - denoise(x, _sigma(lam).item())) / _sigma(lam)


def sample_dpm_fast(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, *, on_step: OnStep, to_zero: bool = True
) -> Tensor:
    """Spend as many model calls as `sigmas` has steps, in steps of order 3 and a remainder.

    Args:
        denoise, x, sigmas, on_step: as in `samplers.solve`; only the first and the last
            positive sigma count.
        to_zero: False ends at the last positive sigma, as the reference does.

    Returns:
        The latent at the last sigma, `b c t`.
    """
    calls = len(sigmas) - 1
    begin, end = _lambdas(sigmas)
    rest = calls % 3
    orders = [3] * (calls // 3) + [rest] if rest else [3] * (calls // 3 - 1) + [2, 1]
    ends = torch.linspace(begin.item(), end.item(), len(orders) + 1, dtype=torch.float32)
    for index, order in enumerate(orders):
        step, denoised = _begin(denoise, x, *ends[index : index + 2])
        on_step(index, x, denoised)
        x = {1: step.first, 2: step.second, 3: step.third}[order]()
    return denoise(x, _sigma(end).item()) if to_zero else x


def sample_dpm_adaptive(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    on_step: OnStep,
    to_zero: bool = True,
    rtol: float = 0.01,
    atol: float = 0.01,
    h_init: float = 0.05,
) -> Tensor:
    """Choose the length of each step by how well orders 2 and 3 agree (algorithm 2).

    The number of model calls is not known in advance.

    Args:
        denoise, x, sigmas, on_step, to_zero: as in `sample_dpm_fast`.
        rtol, atol: relative and absolute tolerance of the difference between the orders.
        h_init: length of the first step in lambda.

    Returns:
        The latent at the last sigma, `b c t`.
    """
    lam, end = _lambdas(sigmas)
    h, previous, taken = h_init, x, 0
    while lam < end - 1e-5:
        step, denoised = _begin(denoise, x, lam, torch.minimum(end, lam + h))
        low, high = step.second(1 / 3), step.third()
        scale = (rtol * torch.maximum(low.abs(), previous.abs())).clamp(min=atol)
        error = ((low - high) / scale).norm().item() / x.numel() ** 0.5
        factor = 1 + atan((1 / (1e-8 + error)) ** (1 / 3) - 1)
        if factor >= _ACCEPT:
            on_step(taken, x, denoised)
            x, previous, lam, taken = high, low, step.end, taken + 1
        h *= factor
    return denoise(x, _sigma(end).item()) if to_zero else x


def _begin(denoise: Denoiser, x: Tensor, begin: Tensor, end: Tensor) -> tuple[_Step, Tensor]:
    eps = _eps(denoise, x, begin)
    return _Step(denoise, x, begin, end, eps), x - _sigma(begin) * eps


def _lambdas(sigmas: Tensor) -> tuple[Tensor, Tensor]:
    """Where the solver begins and ends; on the CPU, for the steps are counted there."""
    positive = sigmas[sigmas > 0].float().cpu()
    return -positive[0].log(), -positive[-1].log()
