"""ODE and SDE solvers over a falling list of sigmas, under the names that ComfyUI gives them.

A solver sees the model only as `denoise(x, sigma)`: noisy `b c t` in, denoised estimate out.
Sources: Karras et al. 2022 (arXiv 2206.00364), algorithms 1 and 2; DPM-Solver++ (arXiv 2211.01095)
and its SDE forms as in k-diffusion. lambda = -log sigma throughout.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import pairwise
from math import exp, expm1, log, sqrt
from typing import Any, Literal

from numpy.polynomial import Polynomial
from torch import Tensor

from .dpm_solver import sample_dpm_adaptive, sample_dpm_fast
from .noise import NoiseSampler
from .objectives import Denoiser, Noised, OnStep, add_noise


@dataclass(frozen=True)
class StepState:
    """What the update of a step starts from, and the options of the solver."""

    denoise: Denoiser
    x: Tensor  # noisy, `b c t`
    denoised: Tensor  # the model's estimate of x
    sigma: float  # of x
    next_sigma: float
    noise_sampler: NoiseSampler | None = None  # (sigma, next sigma) -> new unit noise `b c t`
    eta: float = 1.0  # of the SDE solvers: 0 is the ODE, 1 the full SDE
    s_noise: float = 1.0  # factor of the new noise
    correction: Literal["midpoint", "heun"] = "midpoint"  # the second-order term of 2M SDE
    noised: Noised = add_noise  # how the objective adds noise to a latent; only for LCM

    @property
    def slope(self) -> Tensor:
        """dx / dsigma of the probability-flow ODE."""
        return (self.x - self.denoised) / self.sigma

    @property
    def h(self) -> float:
        """Length of the step in lambda."""
        return log(self.sigma / self.next_sigma)

    def noise(self) -> Tensor:
        """New unit noise for this step, `b c t`."""
        if self.noise_sampler is None:
            raise ValueError("this solver needs a noise_sampler")
        return self.noise_sampler(self.sigma, self.next_sigma)


Past = Sequence[StepState]  # of the last three steps, the newest first


def stepwise(update: Callable[[StepState, Past], Tensor]) -> Callable[..., Tensor]:
    """Make a solver of what it does at each step: state, states before -> x at the next sigma.

    Returns:
        A solver with the arguments of `solve`; its other options are fields of `StepState`.
    """

    @wraps(update)
    def run(
        denoise: Denoiser, x: Tensor, sigmas: Tensor, *, on_step: OnStep, **options: Any
    ) -> Tensor:
        past: list[StepState] = []
        for step, (sigma, next_sigma) in enumerate(pairwise(sigmas.tolist())):
            denoised = denoise(x, sigma)
            on_step(step, x, denoised)
            now = StepState(denoise, x, denoised, sigma, next_sigma, **options)
            x = update(now, past)
            past = [now, *past[:2]]
        return x

    return run


@stepwise
def sample_euler(now: StepState, _past: Past) -> Tensor:
    """Follow the probability-flow ODE in straight steps (Karras et al. 2022, algorithm 1)."""
    return now.denoised + (now.x - now.denoised) * (now.next_sigma / now.sigma)


@stepwise
def sample_heun(now: StepState, _past: Past) -> Tensor:
    """Euler's step, corrected by the mean of the slopes at both ends (algorithm 1, Heun)."""
    slope, length = now.slope, now.next_sigma - now.sigma
    ahead = now.x + slope * length
    if now.next_sigma == 0:
        return ahead
    slope_ahead = (ahead - now.denoise(ahead, now.next_sigma)) / now.next_sigma
    return now.x + (slope + slope_ahead) / 2 * length


@stepwise
def sample_dpm_2(now: StepState, _past: Past) -> Tensor:
    """Euler's step with the slope at its geometric middle: DPM-Solver-2 (arXiv 2206.00927)."""
    slope = now.slope
    if now.next_sigma:
        middle = sqrt(now.sigma * now.next_sigma)
        halfway = now.x + slope * (middle - now.sigma)
        slope = (halfway - now.denoise(halfway, middle)) / middle
    return now.x + slope * (now.next_sigma - now.sigma)


@stepwise
def sample_lms(now: StepState, past: Past) -> Tensor:
    """Linear multistep: the slopes of the last four steps (Adams-Bashforth over sigma)."""
    states = [now, *past]
    weights = _lagrange_integrals([s.sigma for s in states], now.sigma, now.next_sigma)
    return now.x + sum(w * s.slope for w, s in zip(weights, states, strict=True))


def _lagrange_integrals(nodes: list[float], begin: float, end: float) -> list[float]:
    """Integral from `begin` to `end` of each polynomial that is 1 at one node, 0 at the others."""
    weights = []
    for node in nodes:
        others = [other for other in nodes if other != node]
        basis = Polynomial.fromroots(others) if others else Polynomial([1.0])
        area = basis.integ()
        weights.append(float((area(end) - area(begin)) / basis(node)))
    return weights


@stepwise
def sample_lcm(now: StepState, _past: Past) -> Tensor:
    """Jump to the denoised estimate and add noise again (arXiv 2303.01469, algorithm 1).

    With `noised` of a rectified flow this is how AudioX-Turbo is sampled.
    """
    if now.next_sigma == 0:
        return now.denoised
    return now.noised(now.denoised, now.noise(), now.next_sigma)


@stepwise
def sample_dpmpp_2s_ancestral(now: StepState, _past: Past) -> Tensor:
    """DPM-Solver++(2S) to a lower sigma, then noise up to the next one."""
    sigma, next_sigma = now.sigma, now.next_sigma
    if next_sigma == 0:
        return now.denoised
    up = min(next_sigma, now.eta * next_sigma * sqrt(1 - (next_sigma / sigma) ** 2))
    down = sqrt(next_sigma**2 - up**2)
    h = log(sigma / down)
    middle = sigma * exp(-h / 2)
    halfway = (middle / sigma) * now.x - expm1(-h / 2) * now.denoised
    x = (down / sigma) * now.x - expm1(-h) * now.denoise(halfway, middle)
    return x + now.noise() * (up * now.s_noise)


@stepwise
def sample_dpmpp_2m_sde(now: StepState, past: Past) -> Tensor:
    """DPM-Solver++(2M) SDE: the last two denoised estimates, new noise at every step."""
    if now.next_sigma == 0:
        return now.denoised
    second = 0.0
    if past:
        scaled_h = (1 + now.eta) * now.h
        decay = -expm1(-scaled_h)
        weight = decay / 2 if now.correction == "midpoint" else 1 - decay / scaled_h
        second = weight * (now.denoised - past[0].denoised) * (now.h / past[0].h)
    return _sde_step(now, second)


@stepwise
def sample_dpmpp_3m_sde(now: StepState, past: Past) -> Tensor:
    """DPM-Solver++(3M) SDE: the last three denoised estimates. AudioX v1's own sampler."""
    if now.next_sigma == 0:
        return now.denoised
    return _sde_step(now, _higher_orders(now, past, (1 + now.eta) * now.h))


def _sde_step(now: StepState, higher: Tensor | float) -> Tensor:
    """The step of order 1, the term of `higher` orders, and new noise."""
    decay = -expm1(-(1 + now.eta) * now.h)  # the part of x that the estimate replaces
    x = (1 - decay) * now.x + decay * now.denoised + higher
    if now.eta:
        x = x + now.noise() * (now.next_sigma * sqrt(-expm1(-2 * now.eta * now.h)) * now.s_noise)
    return x


def _higher_orders(now: StepState, past: Past, scaled_h: float) -> Tensor | float:
    """The term that a step of 3M adds: nothing, a first or also a second derivative."""
    if not past:
        return 0.0
    phi_2 = expm1(-scaled_h) / scaled_h + 1
    r0 = past[0].h / now.h
    slope = (now.denoised - past[0].denoised) / r0
    if len(past) == 1:
        return phi_2 * slope
    r1 = past[1].h / now.h
    bend = (slope - (past[0].denoised - past[1].denoised) / r1) / (r0 + r1)
    return phi_2 * (slope + bend * r0) - (phi_2 / scaled_h - 0.5) * bend


@dataclass(frozen=True)
class Solver:
    """A solver and what it can do."""

    run: Callable[..., Tensor]
    stochastic: bool = False  # draws new noise at every step


SOLVERS = {
    "dpmpp_3m_sde": Solver(sample_dpmpp_3m_sde, stochastic=True),
    "dpmpp_2m_sde": Solver(sample_dpmpp_2m_sde, stochastic=True),
    "dpmpp_2s_ancestral": Solver(sample_dpmpp_2s_ancestral, stochastic=True),
    "lcm": Solver(sample_lcm, stochastic=True),
    "heun": Solver(sample_heun),
    "dpm_2": Solver(sample_dpm_2),
    "lms": Solver(sample_lms),
    "dpm_fast": Solver(sample_dpm_fast),
    "dpm_adaptive": Solver(sample_dpm_adaptive),
    "euler": Solver(sample_euler),
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
        denoise: the model: noisy `b c t` and its sigma -> denoised estimate `b c t`.
        x: the noisy latent at `sigmas[0]`, `b c t`; it is not changed.
        sigmas: `n + 1` noise levels, falling; the last is 0.
        on_step: called before each update with the step's index, x and the denoised estimate. What
            it writes into x is what the update uses.
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
