"""Random numbers of a run: repeatable, independent, one stream for each purpose and item."""

import numpy as np
import pytest
import torch

from audiox_core.diffusion.noise import initial_noise, on_device, step_noise, stream


def test_a_seed_repeats_and_another_differs():
    assert torch.equal(initial_noise((1, 4, 8), 5), initial_noise((1, 4, 8), 5))
    assert not torch.equal(initial_noise((1, 4, 8), 5), initial_noise((1, 4, 8), 6))


def test_the_initial_noise_is_what_comfyui_draws():
    drawn = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(5))
    assert torch.equal(initial_noise((1, 4, 8), 5), drawn)
    assert torch.equal(initial_noise((1, 4, 8), np.int64(5)), drawn)


@pytest.mark.parametrize("seed", [0, 2**63, 2**64 - 1])
def test_every_seed_up_to_2_to_the_64_works_and_is_a_seed_of_its_own(seed):
    noise = initial_noise((1, 4, 8), seed)
    assert noise.std().item() == pytest.approx(1, abs=0.4)
    assert not torch.equal(noise, initial_noise((1, 4, 8), seed ^ 1))
    draws = [torch.randn(4, generator=stream(s, "step")).tolist() for s in (seed, seed, seed ^ 1)]
    assert draws[0] == draws[1] != draws[2]


def test_item_k_of_a_batch_draws_what_it_draws_among_others():
    alone, among = step_noise(torch.zeros(1, 4, 8), 3), step_noise(torch.zeros(4, 4, 8), 3)
    third = step_noise(torch.zeros(1, 4, 8), 3, items=[2])
    for _ in range(3):
        batch = among(2.0, 1.0)
        assert torch.equal(alone(2.0, 1.0)[0], batch[0])
        assert torch.equal(third(2.0, 1.0)[0], batch[2])


def test_items_and_steps_are_independent():
    draw = step_noise(torch.zeros(2, 64, 500), 3)
    first, second = draw(2.0, 1.0), draw(1.0, 0.5)
    pairs = torch.corrcoef(torch.cat([first, second]).flatten(1))
    assert (pairs - torch.eye(4)).abs().max() < 0.03  # 5 deviations of a random correlation
    assert first.std().item() == pytest.approx(1, abs=0.02)


def test_purposes_and_seeds_do_not_share_numbers():
    draws = [torch.randn(4, generator=stream(0, purpose)).tolist() for purpose in ("a", "b", "a")]
    assert draws[0] == draws[2] != draws[1]
    x = torch.zeros(1, 2, 2)
    assert not torch.equal(step_noise(x, 0)(2.0, 1.0), step_noise(x, 1)(2.0, 1.0))


@pytest.mark.parametrize(
    ("kind", "moves"),
    [
        ("cuda", [("pin", {}), ("to", {"non_blocking": True})]),
        ("mps", [("to", {})]),
        ("cpu", [("to", {})]),
    ],
)
def test_only_a_cuda_device_is_not_waited_for(kind, moves):
    calls = []

    class Noise:
        def pin_memory(self):
            calls.append(("pin", {}))
            return self

        def to(self, device, **how):
            assert device.type == kind
            calls.append(("to", how))
            return self

    on_device(Noise(), torch.device(kind))
    assert calls == moves
