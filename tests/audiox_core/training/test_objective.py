"""The loss of a training step, and the diffusion times it is drawn at."""

from math import sqrt

import pytest
import torch

from audiox_core.training.objective import TimestepSampler, diffusion_loss, noised_and_target

LATENT, NOISE = torch.full((1, 1, 1), 2.0), torch.full((1, 1, 1), 4.0)


def test_noise_and_target_of_v_prediction_by_hand():
    # a third of a quarter circle is 30 degrees
    noised, target = noised_and_target(LATENT, NOISE, torch.tensor([1 / 3]))
    assert noised.item() == pytest.approx(2 * sqrt(3 / 4) + 4 / 2)
    assert target.item() == pytest.approx(4 * sqrt(3 / 4) - 2 / 2)


def test_noise_and_target_of_a_rectified_flow_by_hand():
    noised, target = noised_and_target(LATENT, NOISE, torch.tensor([0.25]), "rectified_flow")
    assert noised.item() == pytest.approx(0.75 * 2 + 0.25 * 4)
    assert target.item() == 4 - 2


@pytest.mark.parametrize("objective", ["v", "rectified_flow"])
def test_the_loss_is_the_mean_squared_error_of_the_prediction(objective, seeded):
    latent, noise, wrong = torch.randn(3, 2, 4, 5, generator=seeded)
    t, tokens = torch.tensor([0.2, 0.7]), torch.randn(2, 3, 6, generator=seeded)
    noised, target = noised_and_target(latent, noise, t, objective)

    def model(x, times, context):
        assert torch.equal(x, noised)
        assert torch.equal(times, t)
        assert torch.equal(context, tokens)
        return target + wrong

    loss, predicted = diffusion_loss(model, latent, tokens, noise=noise, t=t, objective=objective)
    torch.testing.assert_close(loss, wrong.square().mean())
    torch.testing.assert_close(predicted, target + wrong)


def test_balanced_clips_count_by_their_power(seeded):
    latent, noise, wrong = torch.randn(3, 2, 4, 500, generator=seeded)
    latent[0] *= 3  # nine times the power
    t, tokens = torch.tensor([0.2, 0.7]), torch.zeros(2, 1, 1)
    _, target = noised_and_target(latent, noise, t)

    def loss_of(balance):
        return diffusion_loss(
            lambda *_: target + wrong, latent, tokens, noise=noise, t=t, balance=balance
        )[0]

    errors = wrong.square().mean(dim=(1, 2))
    power = latent.square().mean(dim=(1, 2))
    torch.testing.assert_close(loss_of(0.0), errors.mean())
    torch.testing.assert_close(loss_of(0.1), (errors * 1.1 / (power + 0.1)).mean())
    assert loss_of(0.1) < loss_of(0.0)


def test_unconditional_items_lose_all_their_tokens(seeded):
    tokens, seen = torch.randn(3, 2, 4, generator=seeded), []

    def model(x, times, context):
        seen.append(context)
        return x

    zeros = torch.zeros(3, 1, 1)
    drop = torch.tensor([True, False, True])
    diffusion_loss(model, zeros, tokens, noise=zeros, t=torch.zeros(3), unconditional=drop)
    assert torch.equal(seen[0], tokens * torch.tensor([0.0, 1.0, 0.0])[:, None, None])


@pytest.mark.parametrize("late", [1.0, 1.5, 3.0])
def test_times_have_their_density(late):
    """Later than t with probability (1 - t)^(1 / late)."""
    times = TimestepSampler(0, late).draw(4_096)
    assert times.min() >= 0
    assert times.max() <= 1
    for t in (0.25, 0.5, 0.9):
        assert (times > t).float().mean().item() == pytest.approx((1 - t) ** (1 / late), abs=0.01)


def test_times_fill_the_interval_evenly_whatever_the_seed():
    """One in each sixteenth: what a scrambled Sobol sequence is for."""
    for seed in (0, 7):
        sixteenths = (TimestepSampler(seed).draw(16) * 16).long().sort().values
        assert sixteenths.tolist() == list(range(16))
    assert not torch.equal(TimestepSampler(0).draw(16), TimestepSampler(7).draw(16))


def test_times_continue_where_a_run_ended():
    whole, rest = TimestepSampler(3, 1.5), TimestepSampler(3, 1.5)
    rest.seek(24)
    assert torch.equal(whole.draw(40)[24:], rest.draw(16))
