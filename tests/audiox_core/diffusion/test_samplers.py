from itertools import count

import pytest
import torch

from audiox_core.diffusion.noise import step_noise
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
