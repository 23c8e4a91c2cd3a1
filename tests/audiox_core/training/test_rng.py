"""Random streams by name, seed and step."""

import torch

from audiox_core.training.rng import clip_at, generator, noise


def test_each_epoch_has_every_clip_once():
    rounds = [[clip_at(7 * epoch + place, 7, 0) for place in range(7)] for epoch in range(3)]
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
