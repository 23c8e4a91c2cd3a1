"""Solvers: single steps by hand, orders of accuracy, what noise and callbacks they get.

The steps by hand use the denoiser D(x, sigma) = x / sigma on one number, from 16 at sigma 8.
"""

from itertools import count, pairwise
from math import exp, log, sqrt

import pytest
import torch

from audiox_core.diffusion.noise import step_noise
from audiox_core.diffusion.objectives import mix_noise
from audiox_core.diffusion.samplers import SOLVERS, solve
from audiox_core.diffusion.schedules import polyexponential

ALL = pytest.mark.parametrize("name", SOLVERS)


@pytest.fixture
def target(seeded):
    return torch.randn(2, 64, 9, generator=seeded)


def gaussian_posterior(target):
    """The ideal denoiser of data that is normal around `target` with deviation 0.5."""
    return lambda x, sigma: (0.25 * x + sigma**2 * target) / (0.25 + sigma**2)


@ALL
@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_a_perfect_denoiser_leads_to_its_target(name, steps, target, seeded):
    sigmas = polyexponential(steps, 0.03 if steps > 1 else 500, 500)
    x = 500 * torch.randn(target.shape, generator=seeded)
    out = solve(name, lambda x, sigma: target, x, sigmas, noise_sampler=step_noise(x, 0))
    torch.testing.assert_close(out, target, atol=1e-3, rtol=0)


# Euler bends too little at the end; the orders above it land within a percent
SPREAD = {name: 0.02 if name == "euler" else 0.013 for name in SOLVERS if name != "lcm"}


@pytest.mark.parametrize(("name", "tolerance"), SPREAD.items())
def test_a_gaussian_is_sampled_with_its_own_spread(name, tolerance, seeded):
    center = torch.zeros(1, 64, 500)
    sigmas = polyexponential(60, 0.03, 80)
    x = 80 * torch.randn(center.shape, generator=seeded)
    out = solve(name, gaussian_posterior(center), x, sigmas, noise_sampler=step_noise(x, 0))
    assert out.std().item() == pytest.approx(0.5, abs=tolerance)
    assert out.mean().item() == pytest.approx(0, abs=0.01)


@ALL
def test_the_callback_counts_the_steps(name, target):
    seen = []
    sigmas = polyexponential(6, 0.3, 10)
    x = 10 * torch.ones_like(target)
    on_step = lambda step, x, estimate: seen.append(step)  # noqa: E731
    solve(
        name, gaussian_posterior(target), x, sigmas, noise_sampler=step_noise(x, 0), on_step=on_step
    )
    assert seen == list(range(len(seen)))
    if name not in {"dpm_fast", "dpm_adaptive"}:  # these choose their own steps
        assert len(seen) == 6


@ALL
def test_a_solver_leaves_its_start_alone(name, target):
    x = 10 * torch.ones_like(target)
    sigmas = polyexponential(4, 0.3, 10)
    solve(name, gaussian_posterior(target), x, sigmas, noise_sampler=step_noise(x, 0))
    assert torch.equal(x, 10 * torch.ones_like(target))


@pytest.mark.parametrize("name", ["dpmpp_2m_sde", "dpmpp_3m_sde"])
def test_without_eta_no_noise_is_drawn(name, target):
    draws = count()
    sigmas = polyexponential(5, 0.3, 10)
    SOLVERS[name].run(
        gaussian_posterior(target),
        torch.ones_like(target),
        sigmas,
        eta=0.0,
        noise_sampler=lambda *_: next(draws),
        on_step=lambda *_: None,
    )
    assert next(draws) == 0


def by_hand(name: str, sigmas: list[float], noises: list[float] = (), **options) -> float:
    """Run a solver on one number; the noises are used up in this order."""
    drawn = iter(noises)
    if SOLVERS[name].stochastic:
        options["noise_sampler"] = lambda *_: torch.full((1, 1, 1), next(drawn)).double()
    start = torch.full((1, 1, 1), 16.0, dtype=torch.float64)
    levels = torch.tensor([*sigmas, 0.0], dtype=torch.float64)
    out = SOLVERS[name].run(lambda x, s: x / s, start, levels, on_step=lambda *_: None, **options)
    assert next(drawn, None) is None
    return out.item()


@pytest.mark.parametrize(
    ("name", "noises", "options", "at_sigma_2"),
    [
        ("euler", [], {}, 16 - 6 * 1.75),  # the slope at 8 is (16 - 2) / 8
        ("heun", [], {}, 16 - 6 * (1.75 + 1.375) / 2),  # at 2: (5.5 - 2.75) / 2
        ("dpm_2", [], {}, 16 - 6 * 1.6875),  # in the middle, 4: (9 - 9 / 4) / 4
        ("lcm", [0.5], {}, 2 + 0.5 * 2),
        # down to 1/2 by way of sigma 2, where x is 5.5; then up by 2 sqrt(15/16)
        ("dpmpp_2s_ancestral", [2.0], {}, 1 + 15 / 16 * 2.75 + 2 * 2 * sqrt(15 / 16)),
        ("dpmpp_2s_ancestral", [2.0], {"s_noise": 0.5}, 1 + 15 / 16 * 2.75 + 2 * sqrt(15 / 16)),
        # half of eta: up by sqrt(15/16), down to sqrt(4 - 15/16) = 7/4; middle sqrt(8 * 7/4)
        (
            "dpmpp_2s_ancestral", [1.0], {"eta": 0.5},
            3.5 + (1 - 1.75 / 8) * (2 * sqrt(14) + 2 * (1 - sqrt(14) / 8)) / sqrt(14)
            + sqrt(15 / 16),
        ),
        ("dpmpp_2s_ancestral", [0.0], {"eta": 0.0}, 4 + 0.75 * 9 / 4),  # by way of 4, x is 9
        ("dpmpp_2m_sde", [], {"eta": 0.0}, 4 + 0.75 * 2),
        ("dpmpp_2m_sde", [1.0], {}, 1 + 15 / 16 * 2 + 2 * sqrt(15 / 16)),
        ("dpmpp_2m_sde", [1.0], {"s_noise": 0.5}, 1 + 15 / 16 * 2 + sqrt(15 / 16)),
        ("dpmpp_2m_sde", [1.0], {"eta": 0.5}, 2 + 7 / 8 * 2 + 2 * sqrt(3 / 4)),
        ("dpmpp_3m_sde", [], {"eta": 0.0}, 4 + 0.75 * 2),
        ("dpmpp_3m_sde", [1.0], {}, 1 + 15 / 16 * 2 + 2 * sqrt(15 / 16)),
        ("dpmpp_3m_sde", [1.0], {"s_noise": 0.5}, 1 + 15 / 16 * 2 + sqrt(15 / 16)),
        ("dpm_fast", [], {}, 16 - 6 * 1.6875),  # two calls: a step of order 2
    ],
)  # fmt: skip
def test_the_first_step_by_hand(name, noises, options, at_sigma_2):
    assert by_hand(name, [8, 2], noises, **options) == pytest.approx(at_sigma_2 / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("correction", "weight"), [("midpoint", 0.5 / 2), ("heun", 1 - 0.5 / log(2))]
)
def test_the_second_step_of_2m_by_hand(correction, weight):
    # at 2: x is 5.5, its estimate 2.75, that of 8 was 2; the step from 8 is twice as long
    at_1 = 5.5 / 2 + 2.75 / 2 + weight * (2.75 - 2) / 2
    made = by_hand("dpmpp_2m_sde", [8, 2, 1], eta=0.0, correction=correction)
    assert made == pytest.approx(at_1)


@pytest.mark.parametrize(
    ("correction", "weight"), [("midpoint", 0.75 / 2), ("heun", 1 - 0.75 / (2 * log(2)))]
)
def test_the_second_step_of_2m_sde_by_hand(correction, weight):
    at_2 = 1 + 15 / 16 * 2 + 2 * sqrt(15 / 16)
    at_1 = at_2 / 4 + 0.75 * at_2 / 2 + weight * (at_2 / 2 - 2) / 2 - 3 * sqrt(0.75)
    made = by_hand("dpmpp_2m_sde", [8, 2, 1], [1.0, -3.0], correction=correction)
    assert made == pytest.approx(at_1)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_three_steps_of_3m_by_hand(eta):
    """Sigmas 8, 4, 1, 1/2: steps of lambda in the ratio 1 : 2 : 1."""

    def step(x, estimate, ratio, next_sigma, correction):
        kept = ratio ** -(1 + eta)
        noise = sqrt(1 - ratio ** (-2 * eta)) * next_sigma
        return kept * x + (1 - kept) * estimate + correction + noise

    def phi(h):
        return 1 - (1 - exp(-h)) / h

    at_8, h = 2.0, log(2) * (1 + eta)
    at_4 = step(16, at_8, 2, 4, 0) / 4
    slope_4 = 2 * (at_4 - at_8)  # the step before was half as long
    at_1 = step(4 * at_4, at_4, 4, 1, phi(2 * h) * slope_4)
    slope_1 = (at_1 - at_4) / 2  # and this one twice as long
    bend = (slope_1 - (at_4 - at_8)) / 3  # in units of a step: it spans two and one before it
    correction = phi(h) * (slope_1 + 2 * bend) - (phi(h) / h - 0.5) * bend
    at_half = step(at_1, at_1, 2, 0.5, correction)
    made = by_hand("dpmpp_3m_sde", [8, 4, 1, 0.5], [1.0] * 3 if eta else [], eta=eta)
    assert made == pytest.approx(at_half / 0.5)


def test_lcm_adds_noise_as_the_objective_does():
    made = by_hand("lcm", [8, 0.5], [3.0], noised=mix_noise)
    assert made == pytest.approx((2 * 0.5 + 3.0 * 0.5) / 0.5)
    x, sigmas = torch.full((1, 1, 1), 16.0), torch.tensor([8.0, 0.5, 0.0])
    noise_sampler = lambda *_: torch.full((1, 1, 1), 3.0)  # noqa: E731
    run = {"noise_sampler": noise_sampler, "noised": mix_noise}
    assert solve("lcm", lambda x, s: x / s, x, sigmas, **run).item() == pytest.approx(made)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_lms_integrates_slopes_up_to_the_third_degree_exactly(degree):
    sigmas = torch.tensor([9.0, 7.0, 4.0, 3.0, 2.5, 1.5, 0.5], dtype=torch.float64)
    seen = []
    SOLVERS["lms"].run(
        lambda x, s: x - s * s**degree,  # a slope of sigma ** degree
        torch.zeros(1, 1, 1, dtype=torch.float64),
        sigmas,
        on_step=lambda _step, x, _denoised: seen.append(x.item()),
    )
    ends = sigmas.pow(degree + 1) / (degree + 1)
    exact = (ends[1:-1] - ends[:-2]).tolist()
    steps = [after - before for before, after in pairwise(seen)]
    right = [step == pytest.approx(e, rel=1e-9) for step, e in zip(steps, exact, strict=True)]
    # as many slopes as the polynomial has coefficients, and never more than four
    assert right == [index >= degree and degree < 4 for index in range(5)]


def gaussian_error(name: str, steps: int, **options) -> float:
    """How far a solver lands from the exact ODE: x follows sqrt(variance + sigma^2)."""
    sigmas = torch.cat([torch.linspace(log(4), log(0.5), steps + 1).double().exp(), torch.zeros(1)])
    x = torch.ones(1, 1, 1, dtype=torch.float64)
    seen = []

    def denoise(x, sigma):
        seen.append((sigma, x.item()))
        return x / (1 + sigma**2)

    SOLVERS[name].run(denoise, x, sigmas, on_step=lambda *_: None, **options)
    sigma, end = seen[-1]
    assert sigma == pytest.approx(0.5)
    return abs(end - sqrt((1 + 0.25) / (1 + 16)))


ORDERS = {"euler": 1, "heun": 2, "dpm_2": 2, "dpmpp_2s_ancestral": 2, "dpmpp_2m_sde": 2}


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_halving_the_steps_divides_the_error_as_the_order_says(name, order):
    options = {}
    if SOLVERS[name].stochastic:
        options = {"eta": 0.0, "noise_sampler": lambda *_: 0.0}
    coarse, fine = (gaussian_error(name, steps, **options) for steps in (40, 80))
    assert coarse / fine == pytest.approx(2**order, rel=0.2)


@pytest.mark.parametrize("name", [n for n, solver in SOLVERS.items() if solver.stochastic])
def test_noise_is_asked_for_between_the_sigmas_of_a_step(name):
    asked = []

    def noise_sampler(sigma, next_sigma):
        asked.append((sigma, next_sigma))
        return torch.zeros(1, 1, 1)

    x = torch.ones(1, 1, 1)
    sigmas = torch.tensor([8.0, 2.0, 1.0, 0.0])
    solve(name, lambda x, s: x / (1 + s), x, sigmas, noise_sampler=noise_sampler)
    assert asked == [(8.0, 2.0), (2.0, 1.0)]


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m_sde", "dpmpp_3m_sde", "dpmpp_2s_ancestral"])
def test_what_the_callback_writes_into_x_is_what_the_update_uses(name):
    """Inpainting works this way."""
    seen = []

    def denoise(x, sigma):
        seen.append((sigma, x.item()))
        return torch.zeros_like(x)

    x, sigmas = torch.ones(1, 1, 1).double(), torch.tensor([8.0, 4.0, 2.0, 0.0])
    options = {} if name == "euler" else {"eta": 0.0, "noise_sampler": lambda *_: 0.0}
    write = lambda _step, x, _denoised: x.fill_(100.0)  # noqa: E731
    SOLVERS[name].run(denoise, x, sigmas, on_step=write, **options)
    # an estimate of zero divides x as sigma falls
    at_steps = [value for sigma, value in seen if sigma in (4.0, 2.0)]
    assert at_steps == pytest.approx([50.0, 50.0])
