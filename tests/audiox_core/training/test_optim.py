"""Learning rates and the average of the weights, by hand."""

import pytest
import torch

from audiox_core.training.optim import cosine_lr, ema_decay, inverse_lr, update_average


def test_inverse_lr_warms_up_exponentially():
    rates = [inverse_lr(step, 1.0, inv_gamma=1e12, warmup=0.5) for step in range(4)]
    assert rates == pytest.approx([1 / 2, 3 / 4, 7 / 8, 15 / 16])


def test_inverse_lr_decays_by_the_inverse_root():
    # far behind the warm-up: 1 + 3 and 1 + 8 gammas
    rates = [inverse_lr(step, 2.0, inv_gamma=1_000, warmup=0.5) for step in (3_000, 8_000)]
    assert rates == pytest.approx([2 / 2, 2 / 3])
    assert inverse_lr(7_000, 1.0, inv_gamma=1_000, power=1.0, warmup=0.5) == pytest.approx(1 / 8)


def test_inverse_lr_has_the_published_defaults():
    assert inverse_lr(0) == pytest.approx(5e-5 * 0.01)
    assert inverse_lr(3_000_000) == pytest.approx(5e-5 / 2)


def test_cosine_lr_rises_linearly_and_falls_to_zero():
    rates = [cosine_lr(step, 4.0, warmup_steps=3, steps=7) for step in range(9)]
    half = 4 * (1 + 2**-0.5) / 2
    assert rates == pytest.approx([1, 2, 3, 4, half, 2, 4 - half, 0, 0], abs=1e-9)


def test_cosine_lr_without_an_end_stays_level():
    assert [cosine_lr(step, 4.0, warmup_steps=1) for step in (0, 1, 2, 99)] == [2, 4, 4, 4]


def test_the_average_follows_at_once_then_by_powers_then_by_beta():
    # after step 2 the number of updates n counts: 1 - (1 + n) ** -0.75
    decays = [ema_decay(step) for step in range(5)]
    assert decays == pytest.approx([0, 0, 0, 1 - 2**-0.75, 1 - 3**-0.75])
    assert ema_decay(10_000_000) == 0.9999
    assert ema_decay(2 + 15, power=0.5, update_after=1) == pytest.approx(1 - 1 / 4)
    assert ema_decay(8, power=1.0, inv_gamma=2.0, update_after=3) == pytest.approx(1 - 1 / 3)


def test_an_average_keeps_the_share_that_decay_says():
    average, weights = [torch.tensor([1.0, 2.0])], [torch.tensor([5.0, 10.0], requires_grad=True)]
    kept = average[0]
    update_average(average, weights, decay=0.75)
    assert kept.tolist() == [2.0, 4.0]
    update_average(average, weights, decay=0.0)
    assert kept.tolist() == [5.0, 10.0]
    assert not kept.requires_grad
