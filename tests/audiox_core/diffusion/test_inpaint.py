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
from audiox_core.diffusion.samplers import solve
from audiox_core.diffusion.schedules import polyexponential


def test_the_part_is_regenerated_and_the_rest_kept():
    mask = soft_mask(10, 2.4, 5.2)
    assert mask.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0]
    assert is_kept(mask, 0, 5).tolist() == (mask == 0).tolist()
    assert is_kept(mask, 4, 5).all()


def test_ramps_let_go_step_by_step():
    mask = soft_mask(40, 10, 30, ramp_in=5, ramp_out=8)
    kept = torch.stack([is_kept(mask, step, 10) for step in range(10)]).sum(dim=0)
    assert (kept[10:15].diff() <= 0).all()
    assert (kept[22:30].diff() >= 0).all()
    assert (kept[:10] == 10).all()
    assert (kept[15:22] == 1).all()


def test_a_ramp_longer_than_the_part_stays_in_it():
    mask = soft_mask(10, 2, 4, ramp_in=0, ramp_out=4)
    assert mask.shape == (10,)
    assert not mask[5:].any()


def test_kept_frames_end_as_the_initial_latent(seeded):
    init_latent, target = torch.randn(2, 1, 4, 20, generator=seeded)
    mask = soft_mask(20, 5, 12)
    sigmas = polyexponential(80, 0.01, 100)
    noise = torch.randn(init_latent.shape, generator=seeded)
    start = begin_inpainting(init_latent, noise, mask, sigmas)
    hold = keep_init_latent(
        init_latent, mask, sigmas, lambda: torch.randn(init_latent.shape, generator=seeded)
    )
    seen = []

    def on_step(step, x, denoised):
        hold(step, x, denoised)
        seen.append(x.clone())

    # a denoiser that believes what it sees at low noise, and in `target` at high noise
    denoise = lambda x, s: (x + s**2 * target) / (1 + s**2)  # noqa: E731
    out = solve(
        "dpmpp_3m_sde", denoise, start, sigmas, noise_sampler=step_noise(start, 0), on_step=on_step
    )
    torch.testing.assert_close(out[..., :5], init_latent[..., :5], atol=0.1, rtol=0)
    torch.testing.assert_close(out[..., 12:], init_latent[..., 12:], atol=0.1, rtol=0)
    assert (out - init_latent)[..., 5:12].abs().mean() > 0.2
    for x, sigma in zip(seen[:-1], sigmas.tolist(), strict=False):
        assert ((x - init_latent)[..., :5] / sigma).abs().max() < 5  # noise of the step's own level


def test_a_part_is_moved():
    moved = crop_paste(torch.arange(1.0, 9.0), 2, 4, 6.5)
    assert moved.tolist() == [0, 0, 0, 0, 3, 4, 5, 0]


def test_original_samples_return_and_joins_are_smooth():
    init_audio, decoded = torch.zeros(1, 100), torch.ones(1, 100)
    out = paste_back(decoded, init_audio, [(20, 60), (90, 130)], fade=9)[0]
    assert not out[:20].any()
    assert not out[60:90].any()
    assert (out[29:51] == 1).all()
    assert out.diff().abs().max() == pytest.approx(0.1)
    assert out[99] == 1  # the clip ends inside of the span
