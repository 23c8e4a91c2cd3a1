"""Learning rates and the average of the weights, by hand."""

import pytest
import torch

from audiox_core.training.config import EmaConfig, OptimConfig
from audiox_core.training.optim import ema_decay, learning_rate, update_average


def rates(steps, *, of=0, **settings):
    config = OptimConfig(**settings)
    return [learning_rate(step, config, of) for step in steps]


def test_the_inverse_schedule_warms_up_exponentially():
    found = rates(range(4), lr=1.0, inv_gamma=1e12, warmup=0.5)
    assert found == pytest.approx([1 / 2, 3 / 4, 7 / 8, 15 / 16])


def test_the_inverse_schedule_decays_by_the_inverse_root():
    # far behind the warm-up: 1 + 3 and 1 + 8 gammas
    found = rates((3_000, 8_000), lr=2.0, inv_gamma=1_000, warmup=0.5)
    assert found == pytest.approx([2 / 2, 2 / 3])
    assert rates([7_000], lr=1.0, inv_gamma=1_000, power=1.0, warmup=0.5) == pytest.approx([1 / 8])


def test_the_inverse_schedule_has_the_published_defaults():
    assert rates([0, 3_000_000]) == pytest.approx([5e-5 * 0.01, 5e-5 / 2])


def test_the_cosine_schedule_rises_linearly_and_falls_to_zero():
    found = rates(range(9), of=7, lr=4.0, schedule="cosine", warmup_steps=3)
    half = 4 * (1 + 2**-0.5) / 2
    assert found == pytest.approx([1, 2, 3, 4, half, 2, 4 - half, 0, 0], abs=1e-9)


def test_the_constant_schedule_stays_level_after_its_warm_up():
    found = rates((0, 1, 2, 99), of=7, lr=4.0, schedule="constant", warmup_steps=1)
    assert found == [2, 4, 4, 4]


def test_the_average_follows_at_once_then_by_powers_then_by_beta():
    # after step 2 the number of updates n counts: 1 - (1 + n) ** -0.75
    decays = [ema_decay(step, EmaConfig()) for step in range(5)]
    assert decays == pytest.approx([0, 0, 0, 1 - 2**-0.75, 1 - 3**-0.75])
    assert ema_decay(10_000_000, EmaConfig()) == 0.9999
    slow = EmaConfig(power=0.5, update_after=1)
    assert ema_decay(2 + 15, slow) == pytest.approx(1 - 1 / 4)
    fast = EmaConfig(power=1.0, inv_gamma=2.0, update_after=3)
    assert ema_decay(8, fast) == pytest.approx(1 - 1 / 3)


def test_an_average_keeps_the_share_that_decay_says():
    average, weights = [torch.tensor([1.0, 2.0])], [torch.tensor([5.0, 10.0], requires_grad=True)]
    kept = average[0]
    update_average(average, weights, decay=0.75)
    assert kept.tolist() == [2.0, 4.0]
    update_average(average, weights, decay=0.0)
    assert kept.tolist() == [5.0, 10.0]
    assert not kept.requires_grad
