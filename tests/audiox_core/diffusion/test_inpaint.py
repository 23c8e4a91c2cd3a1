"""Inpainting: which frames are generated, and what is kept."""

import pytest
import torch

from audiox_core.diffusion.inpaint import masked_denoiser, soft_mask
from audiox_core.diffusion.noise import step_noise
from audiox_core.diffusion.objectives import add_noise, mix_noise
from audiox_core.diffusion.samplers import SOLVERS, solve
from audiox_core.diffusion.schedules import polyexponential


def test_the_part_is_rounded_outwards():
    mask = soft_mask(10, 2.4, 5.2)
    assert mask.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0]
    assert soft_mask(4, 1, 3).tolist() == [0, 1, 1, 0]


def test_ramps_are_half_a_hann_window_inside_of_the_part():
    # sin^2 of 0, 36 and 72 degrees; of 60 and 0 degrees
    mask = soft_mask(10, 1, 9, ramp_in=3, ramp_out=2)
    rise, fall = [0, 0.3454915, 0.9045085], [0.75, 0]
    assert mask.tolist() == pytest.approx([0, *rise, 1, 1, 1, *fall, 0], abs=1e-6)


def test_a_ramp_longer_than_the_part_stays_in_it():
    mask = soft_mask(10, 2, 4, ramp_in=0, ramp_out=4)
    assert mask.shape == (10,)
    assert not mask[5:].any()


@pytest.mark.parametrize(("noised", "expected"), [(add_noise, 14.0), (mix_noise, -26.0)])
def test_the_model_sees_the_known_latent_under_noise_where_the_mask_is_0(noised, expected):
    init_latent, noise = torch.full((1, 1, 3), 10.0), torch.ones(1, 1, 3)
    seen, mask = [], torch.tensor([0.0, 1.0, 0.5])
    denoise = masked_denoiser(
        lambda x, sigma: seen.append((x, sigma)) or 2 * x, init_latent, noise, mask, noised
    )
    out = denoise(torch.full((1, 1, 3), -2.0), 4.0)
    ((x, sigma),) = seen
    blended = (-2 + expected) / 2
    assert sigma == 4
    assert x.flatten().tolist() == [expected, -2, blended]
    assert out.flatten().tolist() == [10, -4, (2 * blended + 10) / 2]


@pytest.mark.parametrize("sampler", SOLVERS)
def test_every_solver_keeps_the_known_frames_exactly(sampler, seeded):
    init_latent, target = torch.randn(2, 1, 4, 20, generator=seeded)
    mask, sigmas = soft_mask(20, 5, 12), polyexponential(12, 0.01, 100)
    noise = torch.randn(init_latent.shape, generator=seeded)
    denoise = masked_denoiser(lambda x, s: target + x * 0, init_latent, noise, mask, add_noise)
    start = init_latent + noise * sigmas[0]
    out = solve(sampler, denoise, start, sigmas, noise_sampler=step_noise(start, 0))
    kept = mask == 0
    torch.testing.assert_close(out[..., kept], init_latent[..., kept], atol=1e-4, rtol=0)
    torch.testing.assert_close(out[..., ~kept], target[..., ~kept], atol=1e-4, rtol=0)
