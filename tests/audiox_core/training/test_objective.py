"""Diffusion times of training."""

import pytest
import torch

from audiox_core.training.objective import TimestepSampler


@pytest.mark.parametrize("late", [1.0, 1.5, 3.0])
def test_times_have_their_density(late):
    """Later than t with the chance (1 - t)^(1 / late)."""
    times = TimestepSampler(0, late).draw(4_096)
    assert times.min() >= 0
    assert times.max() <= 1
    for t in (0.25, 0.5, 0.9):
        assert (times > t).float().mean().item() == pytest.approx((1 - t) ** (1 / late), abs=0.01)


def test_times_go_on_where_a_run_ended():
    whole, rest = TimestepSampler(3, 1.5), TimestepSampler(3, 1.5)
    rest.skip(24)
    assert torch.equal(whole.draw(40)[24:], rest.draw(16))
