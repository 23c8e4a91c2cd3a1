"""Inpainting: which frames are regenerated when, and what comes back afterwards."""

import pytest
import torch

from audiox_core.diffusion.inpaint import (
    begin_inpainting,
    crop_paste,
    is_kept,
    keep_init_latent,
    paste_back,
    soft_mask,
)
from audiox_core.diffusion.noise import step_noise
from audiox_core.diffusion.objectives import mix_noise
from audiox_core.diffusion.samplers import solve
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


def test_marination_lowers_the_mask():
    assert soft_mask(3, 0, 2, marination=0.25).tolist() == [0.75, 0.75, 0]


def test_a_ramp_longer_than_the_part_stays_in_it():
    mask = soft_mask(10, 2, 4, ramp_in=0, ramp_out=4)
    assert mask.shape == (10,)
    assert not mask[5:].any()


def test_a_frame_is_released_once_its_mask_exceeds_the_share_of_steps():
    mask = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    kept = [is_kept(mask, step, 4).tolist() for step in range(4)]
    # a step of four stands for 1/4, 1/2, 3/4, 1; a mask that equals it is kept
    assert kept == [
        [True, True, False, False, False],
        [True, True, True, False, False],
        [True, True, True, True, False],
        [True, True, True, True, True],
    ]


def test_the_first_latent_is_noise_with_the_initial_latent_where_it_is_kept():
    init_latent, noise = torch.full((1, 1, 3), 10.0), torch.ones(1, 1, 3)
    mask, sigmas = torch.tensor([0.0, 1.0, 0.5]), torch.tensor([4.0, 2.0, 0.0])
    made = begin_inpainting(init_latent, noise, mask, sigmas)
    assert made.flatten().tolist() == [14.0, 4.0, 14.0]
    sigmas = torch.tensor([0.75, 0.5, 0.0])
    made = begin_inpainting(init_latent, noise, mask, sigmas, noised=mix_noise)
    assert made.flatten().tolist() == [3.25, 0.75, 3.25]


@pytest.mark.parametrize(
    ("noised", "written"), [({}, [14.0, 14.0]), ({"noised": mix_noise}, [4 - 30, 4 - 30])]
)
def test_the_callback_noises_kept_frames_to_the_level_of_the_step(noised, written):
    init_latent = torch.full((1, 1, 3), 10.0)
    mask, sigmas = torch.tensor([0.0, 1.0, 0.5]), torch.tensor([4.0, 2.0, 0.0])
    hold = keep_init_latent(init_latent, mask, sigmas, lambda: torch.ones(1, 1, 3), **noised)
    x = torch.full((1, 1, 3), -1.0)
    hold(0, x, x)
    assert x.flatten().tolist() == [written[0], -1.0, written[1]]
    if not noised:
        hold(1, x, x)
        assert x.flatten().tolist() == [12.0, 12.0, 12.0]  # the last step keeps all


def test_kept_frames_end_as_the_initial_latent(seeded):
    init_latent, target = torch.randn(2, 1, 4, 20, generator=seeded)
    mask = soft_mask(20, 5, 12)
    sigmas = polyexponential(80, 0.01, 100)
    noise = torch.randn(init_latent.shape, generator=seeded)
    start = begin_inpainting(init_latent, noise, mask, sigmas)
    redraw = lambda: torch.randn(init_latent.shape, generator=seeded)  # noqa: E731
    hold = keep_init_latent(init_latent, mask, sigmas, redraw)
    # a denoiser that trusts x at low noise, and `target` at high noise
    denoise = lambda x, s: (x + s**2 * target) / (1 + s**2)  # noqa: E731
    sampler = step_noise(start, 0)
    out = solve("dpmpp_3m_sde", denoise, start, sigmas, noise_sampler=sampler, on_step=hold)
    torch.testing.assert_close(out[..., :5], init_latent[..., :5], atol=0.1, rtol=0)
    torch.testing.assert_close(out[..., 12:], init_latent[..., 12:], atol=0.1, rtol=0)
    assert (out - init_latent)[..., 5:12].abs().mean() > 0.2


def test_a_part_is_moved():
    clip = torch.arange(1.0, 9.0)
    assert crop_paste(clip, 2, 4, 6.5).tolist() == [0, 0, 0, 0, 3, 4, 5, 0]
    assert crop_paste(clip, 2.9, 1.9, 3).tolist() == [0, 3, 4, 0, 0, 0, 0, 0]
    assert crop_paste(clip, 7, 0, 4).tolist() == [8, 0, 0, 0, 0, 0, 0, 0]  # the clip ends there


def test_original_samples_return_outside_of_the_spans_with_linear_fades_inside():
    init_audio, decoded = torch.zeros(1, 100), torch.ones(1, 100)
    out = paste_back(decoded, init_audio, [(20, 60), (90, 130)], fade=4)[0]
    ramp = [0.2, 0.4, 0.6, 0.8]
    assert out[18:26].tolist() == pytest.approx([0, 0, *ramp, 1, 1])
    assert out[54:62].tolist() == pytest.approx([1, 1, *ramp[::-1], 0, 0])
    assert not out[60:90].any()
    assert out[90:].tolist() == pytest.approx([*ramp, *[1] * 6])  # the clip ends in the span


def test_without_a_fade_the_spans_are_pasted_as_they_are():
    out = paste_back(torch.ones(1, 6), torch.zeros(1, 6), [(1, 3)], fade=0)[0]
    assert out.tolist() == [0, 1, 1, 0, 0, 0]


def test_overlapping_spans_fade_at_their_outer_edges_alone():
    out = paste_back(torch.ones(1, 12), torch.zeros(1, 12), [(1, 8), (4, 11)], fade=1)[0]
    assert out.tolist() == [0, 0.5, 1, 1, 1, 1, 1, 1, 1, 1, 0.5, 0]
