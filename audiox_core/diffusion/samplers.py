"""ODE and SDE solvers over a falling list of sigmas, under the names that ComfyUI gives them.

A solver sees the model only as `denoise(x, sigma)`: noisy `b c t` in, denoised estimate out.
Sources: Karras et al. 2022 (arXiv 2206.00364), algorithms 1 and 2; DPM-Solver++ (arXiv 2211.01095)
and its SDE forms as in k-diffusion. lambda = -log sigma throughout.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import exp, expm1, log, sqrt
from typing import Literal

from numpy.polynomial import Polynomial
from torch import Tensor

from .dpm_solver import sample_dpm_adaptive, sample_dpm_fast
from .noise import NoiseSampler
from .objectives import Denoiser, Noised, OnStep, add_noise


def sample_euler(denoise: Denoiser, x: Tensor, sigmas: Tensor, *, on_step: OnStep) -> Tensor:
    """Follow the probability-flow ODE in straight steps (Karras et al. 2022, algorithm 1).

    Args:
        denoise: the model: noisy `b c t` and its sigma -> denoised estimate `b c t`.
        x: the noisy latent at `sigmas[0]`, `b c t`; it is not changed.
        sigmas: `n + 1` noise levels, falling; the last is 0.
        on_step: called before each update with the step's index, x and the denoised estimate. What
            it writes into x is what the update uses.

    Returns:
        The denoised latent, `b c t`.
    """
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas.tolist())):
        denoised = denoise(x, sigma)
        on_step(step, x, denoised)
        x = denoised + (x - denoised) * (next_sigma / sigma)
    return x


def sample_heun(denoise: Denoiser, x: Tensor, sigmas: Tensor, *, on_step: OnStep) -> Tensor:
    """Euler's step, corrected by the mean of the slopes at both ends (algorithm 1, Heun).

    Args: as in `sample_euler`.
    """
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas.tolist())):
        denoised = denoise(x, sigma)
        on_step(step, x, denoised)
        slope = (x - denoised) / sigma
        ahead = x + slope * (next_sigma - sigma)
        if next_sigma == 0:
            x = ahead
            continue
        slope_ahead = (ahead - denoise(ahead, next_sigma)) / next_sigma
        x = x + (slope + slope_ahead) / 2 * (next_sigma - sigma)
    return x


def sample_dpm_2(denoise: Denoiser, x: Tensor, sigmas: Tensor, *, on_step: OnStep) -> Tensor:
    """Euler's step with the slope at its geometric middle: DPM-Solver-2 (arXiv 2206.00927).

    Args: as in `sample_euler`.
    """
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas.tolist())):
        denoised = denoise(x, sigma)
        on_step(step, x, denoised)
        slope = (x - denoised) / sigma
        if next_sigma:
            middle = sqrt(sigma * next_sigma)
            halfway = x + slope * (middle - sigma)
            slope = (halfway - denoise(halfway, middle)) / middle
        x = x + slope * (next_sigma - sigma)
    return x


def sample_lms(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, *, on_step: OnStep, order: int = 4
) -> Tensor:
    """Linear multistep: the slopes of the last steps (Adams-Bashforth over sigma).

    Args:
        denoise, x, sigmas, on_step: as in `sample_euler`.
        order: how many slopes are used.
    """
    levels = sigmas.tolist()
    slopes: list[Tensor] = []  # newest first
    for step, (sigma, next_sigma) in enumerate(pairwise(levels)):
        denoised = denoise(x, sigma)
        on_step(step, x, denoised)
        slopes = [(x - denoised) / sigma, *slopes[: order - 1]]
        nodes = levels[step::-1][: len(slopes)]
        weights = _lagrange_integrals(nodes, sigma, next_sigma)
        x = x + sum(w * slope for w, slope in zip(weights, slopes, strict=True))
    return x


def _lagrange_integrals(nodes: list[float], begin: float, end: float) -> list[float]:
    """Integral from `begin` to `end` of each polynomial that is 1 at one node, 0 at the others."""
    weights = []
    for node in nodes:
        others = [other for other in nodes if other != node]
        basis = Polynomial.fromroots(others) if others else Polynomial([1.0])
        area = basis.integ()
        weights.append(float((area(end) - area(begin)) / basis(node)))
    return weights


def sample_lcm(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    on_step: OnStep,
    noise_sampler: NoiseSampler,
    noised: Noised = add_noise,
) -> Tensor:
    """Jump to the denoised estimate and add noise again (arXiv 2303.01469, algorithm 1).

    With `noised` of a rectified flow this is how AudioX-Turbo is sampled.

    Args:
        denoise, x, sigmas, on_step: as in `sample_euler`.
        noise_sampler: (sigma, next sigma) -> new unit noise `b c t`.
        noised: how the objective adds noise to a latent.
    """
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas.tolist())):
        denoised = denoise(x, sigma)
        on_step(step, x, denoised)
        x = denoised
        if next_sigma:
            x = noised(x, noise_sampler(sigma, next_sigma), next_sigma)
    return x


def sample_dpmpp_2s_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    on_step: OnStep,
    noise_sampler: NoiseSampler,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """DPM-Solver++(2S) to a lower sigma, then noise up to the next one.

    Args: as in `sample_dpmpp_2m_sde`, without `correction`.
    """
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas.tolist())):
        denoised = denoise(x, sigma)
        on_step(step, x, denoised)
        if next_sigma == 0:
            return denoised
        up = min(next_sigma, eta * next_sigma * sqrt(1 - (next_sigma / sigma) ** 2))
        down = sqrt(next_sigma**2 - up**2)
        h = log(sigma / down)
        middle = sigma * exp(-h / 2)
        halfway = (middle / sigma) * x - expm1(-h / 2) * denoised
        x = (down / sigma) * x - expm1(-h) * denoise(halfway, middle)
        x = x + noise_sampler(sigma, next_sigma) * (up * s_noise)
    return x


def sample_dpmpp_2m_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    on_step: OnStep,
    noise_sampler: NoiseSampler,
    eta: float = 1.0,
    s_noise: float = 1.0,
    correction: Literal["midpoint", "heun"] = "midpoint",
) -> Tensor:
    """DPM-Solver++(2M) SDE: the last two denoised estimates, new noise at every step.

    Args:
        denoise, x, sigmas, on_step: as in `sample_euler`.
        noise_sampler: (sigma, next sigma) -> new unit noise `b c t`.
        eta: 0 is the ODE, 1 the full SDE.
        s_noise: factor of the noise.
        correction: the form of the second-order term.
    """
    previous, h_previous = None, 0.0
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas.tolist())):
        denoised = denoise(x, sigma)
        on_step(step, x, denoised)
        if next_sigma == 0:
            return denoised
        h = log(sigma / next_sigma)
        decay = -expm1(-(1 + eta) * h)  # the part of x that the estimate replaces
        x = (1 - decay) * x + decay * denoised
        if previous is not None:
            weight = decay / 2 if correction == "midpoint" else 1 - decay / ((1 + eta) * h)
            x = x + weight * (denoised - previous) * (h / h_previous)
        if eta:
            x = x + noise_sampler(sigma, next_sigma) * (next_sigma * _spread(eta, h) * s_noise)
        previous, h_previous = denoised, h
    return x


def sample_dpmpp_3m_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    on_step: OnStep,
    noise_sampler: NoiseSampler,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """DPM-Solver++(3M) SDE: the last three denoised estimates. AudioX v1's own sampler.

    Args: as in `sample_dpmpp_2m_sde`, without `correction`.
    """
    history: list[tuple[Tensor, float]] = []  # (denoised estimate, h of its step), newest first
    for step, (sigma, next_sigma) in enumerate(pairwise(sigmas.tolist())):
        denoised = denoise(x, sigma)
        on_step(step, x, denoised)
        if next_sigma == 0:
            return denoised
        h = log(sigma / next_sigma)
        decay = -expm1(-(1 + eta) * h)
        x = (1 - decay) * x + decay * denoised
        x = x + _third_order(denoised, history, h, (1 + eta) * h)
        if eta:
            x = x + noise_sampler(sigma, next_sigma) * (next_sigma * _spread(eta, h) * s_noise)
        history = [(denoised, h), *history[:1]]
    return x


def _third_order(
    denoised: Tensor, history: list[tuple[Tensor, float]], h: float, scaled_h: float
) -> Tensor | float:
    """The term that a step of 3M adds: nothing, a first or also a second derivative."""
    if not history:
        return 0.0
    phi_2 = expm1(-scaled_h) / scaled_h + 1
    (first, h_first), *older = history
    r0 = h_first / h
    slope = (denoised - first) / r0
    if not older:
        return phi_2 * slope
    second, h_second = older[0]
    r1 = h_second / h
    bend = (slope - (first - second) / r1) / (r0 + r1)
    return phi_2 * (slope + bend * r0) - (phi_2 / scaled_h - 0.5) * bend


def _spread(eta: float, h: float) -> float:
    """Standard deviation of the noise of an SDE step, in units of the next sigma."""
    return sqrt(-expm1(-2 * eta * h))


@dataclass(frozen=True)
class Solver:
    """A solver and what it can do."""

    run: Callable[..., Tensor]
    stochastic: bool = False  # draws new noise at every step
    flows: bool = False  # also valid for a rectified flow, whose noise level ends at 1


SOLVERS = {
    "dpmpp_3m_sde": Solver(sample_dpmpp_3m_sde, stochastic=True),
    "dpmpp_2m_sde": Solver(sample_dpmpp_2m_sde, stochastic=True),
    "dpmpp_2s_ancestral": Solver(sample_dpmpp_2s_ancestral, stochastic=True),
    "lcm": Solver(sample_lcm, stochastic=True, flows=True),
    "heun": Solver(sample_heun, flows=True),
    "dpm_2": Solver(sample_dpm_2, flows=True),
    "lms": Solver(sample_lms, flows=True),
    "dpm_fast": Solver(sample_dpm_fast),
    "dpm_adaptive": Solver(sample_dpm_adaptive),
    "euler": Solver(sample_euler, flows=True),
}


def solve(
    name: str,
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise_sampler: NoiseSampler,
    on_step: OnStep = lambda *_: None,
    noised: Noised = add_noise,
) -> Tensor:
    """Run a solver by name.

    Args:
        name: a key of `SOLVERS`.
        denoise, x, sigmas, on_step: as in `sample_euler`.
        noise_sampler: (sigma, next sigma) -> new unit noise `b c t`; unused by ODE solvers.
        noised: how the objective adds noise to a latent; only `lcm` needs it.

    Returns:
        The denoised latent, `b c t`.

    Raises:
        KeyError: there is no solver of this name.
    """
    solver = SOLVERS[name]
    extra = {"noise_sampler": noise_sampler} if solver.stochastic else {}
    if solver.run is sample_lcm:
        extra["noised"] = noised
    return solver.run(denoise, x, sigmas, on_step=on_step, **extra)
