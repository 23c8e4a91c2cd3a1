"""v-prediction and rectified flow: times, scalings, denoised estimates, noise."""

from math import pi, sqrt

import pytest
import torch

from audiox_core.diffusion.objectives import (
    OBJECTIVES,
    add_full_noise,
    add_noise,
    alpha_sigma,
    flow_denoiser,
    flow_scalings,
    mix_noise,
    sigma_to_t,
    v_denoiser,
    v_scalings,
)
from audiox_core.diffusion.schedules import linear, polyexponential


def test_times_and_sigmas_are_inverse():
    t = torch.linspace(0.01, 0.99, 50)
    torch.testing.assert_close(sigma_to_t((t * pi / 2).tan()), t)


def test_times_and_sigmas_by_hand():
    # a third and two thirds of a quarter circle: tan 30, 45 and 60 degrees
    t = torch.tensor([1 / 3, 1 / 2, 2 / 3])
    sigma = torch.tensor([sqrt(1 / 3), 1, sqrt(3)])
    assert sigma_to_t(sigma).tolist() == pytest.approx(t.tolist(), rel=1e-5)
    alpha, sigma = alpha_sigma(t)
    assert alpha.tolist() == pytest.approx([sqrt(3 / 4), sqrt(1 / 2), 1 / 2], rel=1e-5)
    assert sigma.tolist() == pytest.approx([1 / 2, sqrt(1 / 2), sqrt(3 / 4)], rel=1e-5)


def test_scalings_of_v_prediction_by_hand():
    c_skip, c_out, c_in = v_scalings(torch.tensor([0.75]))  # 1 + sigma^2 = 25/16
    assert c_skip.item() == pytest.approx(16 / 25)
    assert c_out.item() == pytest.approx(-0.75 * 4 / 5)
    assert c_in.item() == pytest.approx(4 / 5)


def test_the_true_v_is_denoised_to_the_latent(seeded):
    latent, noise = torch.randn(2, 3, 64, 9, generator=seeded)

    def true_v(x, t):
        alpha, sigma = (w[:, None, None] for w in alpha_sigma(t))
        torch.testing.assert_close(x, alpha * latent + sigma * noise, atol=1e-4, rtol=1e-4)
        return alpha * noise - sigma * latent

    for sigma in (0.03, 0.3, 1.0, 20.0, 500.0):
        out = v_denoiser(true_v)(latent + sigma * noise, sigma)
        torch.testing.assert_close(out, latent, atol=2e-4, rtol=1e-3)


def test_the_true_velocity_is_denoised_to_the_latent(seeded):
    latent, noise = torch.randn(2, 3, 64, 9, generator=seeded)

    def true_velocity(x, t):
        assert t.tolist() == pytest.approx([sigma] * 3)
        torch.testing.assert_close(x, mix_noise(latent, noise, sigma))
        return noise - latent

    for sigma in (0.1, 0.5, 1.0):
        out = flow_denoiser(true_velocity)(mix_noise(latent, noise, sigma), sigma)
        torch.testing.assert_close(out, latent, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("denoiser", "scalings"), [(v_denoiser, v_scalings), (flow_denoiser, flow_scalings)]
)
def test_a_denoiser_and_its_scalings_agree(denoiser, scalings, seeded):
    x, v = torch.randn(2, 1, 4, 4, generator=seeded)
    c_skip, c_out = scalings(torch.tensor([0.75]))[:2]
    expected = c_skip * x + c_out * v
    torch.testing.assert_close(denoiser(lambda *_: v)(x, 0.75), expected)


def test_noise_enters_as_each_objective_counts():
    latent, noise = torch.tensor([2.0]), torch.tensor([-1.0])
    assert add_noise(latent, noise, 3.0).item() == -1.0
    assert mix_noise(latent, noise, 0.25).item() == 1.25
    assert add_full_noise(latent, noise, 0.75).item() == 0.75  # the root of 1 + 9/16 is 5/4


def test_each_objective_has_its_own_denoiser_scalings_noise_and_schedule():
    v, flow = OBJECTIVES["v"], OBJECTIVES["rectified_flow"]
    assert (v.denoiser, v.scalings, v.noised) == (v_denoiser, v_scalings, add_noise)
    assert (flow.denoiser, flow.scalings, flow.noised) == (flow_denoiser, flow_scalings, mix_noise)
    assert (v.noised_fully, flow.noised_fully) == (add_full_noise, mix_noise)
    assert (v.schedule, flow.schedule) == (polyexponential, linear)
