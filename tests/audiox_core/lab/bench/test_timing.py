"""Rounds of timing: ratios to the baseline, and the time budget."""

import pytest
import torch

from audiox_core.lab.bench.timing import Group, measure


def test_a_ratio_is_the_baselines_share_of_time():
    small, large = torch.zeros(50, 50), torch.zeros(1_500, 1_500)
    ways = {"large": lambda: large @ large, "small": lambda: small @ small}
    first, second = measure(Group("matmul", ways), rounds=3, budget=60)
    assert (first.ratio, second.baseline, len(second.seconds)) == (None, "large", 3)
    assert second.ratio < 0.5
    assert second.memory_ratio == pytest.approx(1 / 900)


def test_a_spent_budget_ends_the_rounds():
    (line,) = measure(Group("nothing", {"ours": lambda: None}), rounds=9, budget=0)
    assert len(line.seconds) == 1
