import torch

from audiox_core.diffusion.noise import initial_noise, step_noise, stream


def test_a_seed_repeats_and_another_differs():
    assert torch.equal(initial_noise((1, 4, 8), 5), initial_noise((1, 4, 8), 5))
    assert not torch.equal(initial_noise((1, 4, 8), 5), initial_noise((1, 4, 8), 6))


def test_item_k_of_a_batch_draws_what_it_draws_among_others():
    alone, among = step_noise(torch.zeros(1, 4, 8), 3), step_noise(torch.zeros(4, 4, 8), 3)
    for _ in range(3):
        assert torch.equal(alone(2.0, 1.0)[0], among(2.0, 1.0)[0])


def test_items_and_steps_are_independent():
    draw = step_noise(torch.zeros(2, 64, 500), 3)
    first, second = draw(2.0, 1.0), draw(1.0, 0.5)
    pairs = torch.corrcoef(torch.cat([first, second]).flatten(1))
    assert (pairs - torch.eye(4)).abs().max() < 0.03  # 5 deviations of a chance correlation


def test_purposes_do_not_share_numbers():
    draws = [torch.randn(4, generator=stream(0, purpose)).tolist() for purpose in ("a", "b", "a")]
    assert draws[0] == draws[2] != draws[1]
