import torch

from audiox_core.training.optim import cosine_lr, update_average
from audiox_core.training.rng import Order, generator, noise


def test_each_epoch_has_every_clip_once():
    order = Order(0, 7)
    rounds = [[order.clip(7 * epoch + place) for place in range(7)] for epoch in range(3)]
    assert all(sorted(one) == [*range(7)] for one in rounds)
    assert rounds[0] != rounds[1] != rounds[2]


def test_an_item_has_the_same_noise_in_any_part_of_a_batch():
    whole = noise((2, 3), 5, "noise", 9, items=range(4))
    part = noise((2, 3), 5, "noise", 9, items=range(2, 4))
    assert torch.equal(whole[2:], part)


def test_random_streams_differ_by_name_seed_and_step():
    draws = [
        torch.randn(1, generator=generator(*what)).item()
        for what in ((0, "a", 1), (0, "a", 2), (0, "b", 1), (1, "a", 1))
    ]
    assert len(set(draws)) == 4


def test_a_cosine_schedule_rises_and_falls_to_zero():
    rates = [cosine_lr(step, 1.0, warmup_steps=3, steps=10) for step in range(11)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[10] == 0
    assert cosine_lr(500, 1.0, warmup_steps=3) == 1.0


def test_an_average_moves_by_a_share_of_the_difference():
    average, weights = [torch.zeros(2)], [torch.ones(2, requires_grad=True)]
    update_average(average, weights, 0.75)
    assert average[0].tolist() == [0.25, 0.25]
