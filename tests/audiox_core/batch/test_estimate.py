"""What the rest of a batch takes, from a sample of it."""

from itertools import pairwise

import pytest

from audiox_core.batch.estimate import SAMPLE, Estimate, spread
from audiox_core.batch.results import Result


@pytest.mark.parametrize("count", [0, 3, SAMPLE, 1_000, 1_027])
def test_a_sample_is_spread_over_all_items(count):
    total, sample = spread(((k, "") for k in range(count)), SAMPLE)
    assert total == count
    places = [job for job, _ in sample]
    assert len(places) == min(count, SAMPLE)
    if count > 100:
        steps = {b - a for a, b in pairwise(places)}
        assert min(steps) >= count / (4 * SAMPLE)
        assert places[-1] > count / 2


def test_hours_and_gigabytes_follow_from_what_succeeded_without_the_loading_of_the_model():
    results = (
        Result("a", 1, "done", "a.wav", elapsed_seconds=60.0, bytes=4_000_000),
        Result("b", 2, "done", "b.wav", elapsed_seconds=3.6, bytes=2_000_000),
        Result("c", 3, "failed", "c.wav", elapsed_seconds=0.1),
    )
    numbers = Estimate(1_000, results).as_dict()
    assert (numbers["hours"], numbers["gigabytes"], numbers["sample_failed"]) == (1.0, 3.0, 1)
