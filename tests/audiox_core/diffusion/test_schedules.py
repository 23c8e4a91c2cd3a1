"""Sigma schedules: which numbers, in which order, and their last part."""

import pytest

from audiox_core.diffusion.schedules import last_part, linear, polyexponential


def test_sigmas_fall_from_the_largest_to_the_smallest_to_zero():
    sigmas = polyexponential(250, 0.3, 500)
    assert len(sigmas) == 251
    assert sigmas[0].item() == pytest.approx(500)
    assert sigmas[-2].item() == pytest.approx(0.3)
    assert sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()


def test_sigmas_are_powers_of_one_ratio():
    assert polyexponential(4, 1, 1_000).tolist() == pytest.approx([1_000, 100, 10, 1, 0])


def test_rho_bends_the_schedule_towards_the_smallest_sigma():
    # the ramp 1, 1/2, 0 squared is 1, 1/4, 0: the middle is a quarter of the way in log sigma
    assert polyexponential(3, 1, 16, rho=2.0).tolist() == pytest.approx([16, 2, 1, 0])


def test_one_step_is_the_largest_sigma():
    assert polyexponential(1, 0.3, 500).tolist() == [pytest.approx(500), 0.0]


def test_times_of_a_rectified_flow_are_evenly_spaced():
    assert linear(4).tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert linear(2, 0.3, 0.5).tolist() == [0.5, 0.25, 0.0]
    assert linear(2, 0.3, 500).tolist() == [1.0, 0.5, 0.0]  # at most 1


@pytest.mark.parametrize(
    ("steps", "denoise", "sigmas"),
    [
        (4, 1.0, [1.0, 0.75, 0.5, 0.25, 0.0]),
        (2, 0.5, [0.5, 0.25, 0.0]),  # the last 2 of 4
        (3, 0.4, [3 / 7, 2 / 7, 1 / 7, 0.0]),  # the last 3 of 7: 3 / 0.4 rounded down
        (1, 0.25, [0.25, 0.0]),
    ],
)
def test_the_last_part_of_a_schedule_has_as_many_steps_as_asked(steps, denoise, sigmas):
    made = last_part(linear, steps, denoise, sigma_min=0.0, sigma_max=1.0)
    assert made.tolist() == pytest.approx(sigmas)


def test_the_last_part_hands_on_the_range_of_sigmas():
    made = last_part(polyexponential, 2, 0.5, sigma_min=1, sigma_max=1_000)
    assert made.tolist() == pytest.approx([10, 1, 0])
