"""DPM-Solver: the orders of its steps, how a budget of calls is spent, adaptive step sizes."""

from math import atan, exp, expm1, log, sqrt

import pytest
import torch

from audiox_core.diffusion.dpm_solver import sample_dpm_adaptive, sample_dpm_fast


def gaussian(calls: list | None = None):
    """The ideal denoiser of data of unit variance; x then follows sqrt(1 + sigma^2)."""

    def denoise(x, sigma):
        if calls is not None:
            calls.append(sigma)
        return x / (1 + sigma**2)

    return denoise


def start() -> torch.Tensor:
    return torch.full((1, 1, 4), 5.0, dtype=torch.float64)


def exact(begin: float, end: float) -> float:
    return 5 * sqrt((1 + end**2) / (1 + begin**2))


def nothing(*_):
    pass


@pytest.mark.parametrize(
    ("calls", "sigmas"),
    [
        (1, [8]),
        (2, [8, 4]),  # order 2 by way of the middle
        (3, [8, sqrt(32), 4]),  # order 2, then order 1
        (4, [8, 8 / 4 ** (1 / 6), 8 / 4 ** (1 / 3), 4]),  # order 3, then order 1
        (5, [8, 8 / 4 ** (1 / 6), 8 / 4 ** (1 / 3), 4, sqrt(8)]),
        # orders 3, 2 and 1
        (6, [8 / 4 ** (k / 18) for k in (0, 2, 4, 6, 9, 12)]),
    ],
)
def test_the_budget_of_calls_is_spent_in_steps_of_order_three(calls, sigmas):
    seen = []
    levels = torch.tensor([8.0, *[3.0] * (calls - 2), 2.0, 0.0] if calls > 1 else [8.0, 0.0])
    steps = []
    on_step = lambda step, *_: steps.append(step)  # noqa: E731
    sample_dpm_fast(gaussian(seen), start(), levels, on_step=on_step, to_zero=False)
    assert len(seen) == calls
    assert steps == list(range(calls // 3 + 1))
    assert seen == pytest.approx(sigmas, rel=1e-5)


def test_the_step_to_zero_is_one_more_call():
    sigmas = torch.tensor([8.0, 2.0, 0.0])
    before = sample_dpm_fast(gaussian(), start(), sigmas, on_step=nothing, to_zero=False)
    after = sample_dpm_fast(gaussian(), start(), sigmas, on_step=nothing)
    torch.testing.assert_close(after, before / 5)


def test_a_step_of_order_three_by_hand():
    """From lambda 0 to h with D(x, sigma) = x / 2: eps is x / (2 sigma)."""
    h = log(4)

    def sigma(r):
        return exp(-r * h)

    def eps(x, r):
        return x / (2 * sigma(r))

    first = eps(5, 0)
    one = 5 - sigma(1 / 3) * expm1(h / 3) * first
    bend = eps(one, 1 / 3) - first
    growth = expm1(2 * h / 3)
    two = 5 - sigma(2 / 3) * (growth * first + 2 * (growth / (2 * h / 3) - 1) * bend)
    bend = eps(two, 2 / 3) - first
    end = 5 - sigma(1) * (expm1(h) * first + 1.5 * (expm1(h) / h - 1) * bend)
    # four calls: order 3 over half of lambda, order 1 over the rest
    sigmas = torch.tensor([1.0, 0.5, 0.25, 1 / 16, 0.0], dtype=torch.float64)
    made = sample_dpm_fast(lambda x, s: x / 2, start(), sigmas, on_step=nothing, to_zero=False)
    last = end - exp(-2 * h) * expm1(h) * end / (2 * sigma(1))
    assert made[0, 0, 0].item() == pytest.approx(last, rel=1e-5)


def test_a_step_of_order_two_errs_by_the_third_power_of_its_length():
    errors = []
    for end in (4 / exp(0.5), 4 / exp(0.25)):
        sigmas = torch.tensor([4.0, end, 0.0], dtype=torch.float64)
        made = sample_dpm_fast(gaussian(), start(), sigmas, on_step=nothing, to_zero=False)
        errors.append(abs(made[0, 0, 0].item() - exact(4, end)))
    assert errors[0] / errors[1] == pytest.approx(2**3, rel=0.2)


SIGMAS = torch.tensor([20.0, 1.0, 0.05, 0.0])


def test_adaptive_steps_end_at_the_last_sigma_near_the_exact_solution():
    made = sample_dpm_adaptive(gaussian(), start(), SIGMAS, on_step=nothing, to_zero=False)
    assert made[0, 0, 0].item() == pytest.approx(exact(20, 0.05), rel=0.04)
    to_zero = sample_dpm_adaptive(gaussian(), start(), SIGMAS, on_step=nothing)
    torch.testing.assert_close(to_zero, made / (1 + 0.05**2))


def test_adaptive_steps_are_counted_when_they_are_taken():
    taken = []
    on_step = lambda step, x, denoised: taken.append((step, x.clone(), denoised))  # noqa: E731
    sample_dpm_adaptive(gaussian(), start(), SIGMAS, on_step=on_step)
    assert [step for step, *_ in taken] == list(range(len(taken)))
    first = taken[0]
    assert torch.equal(first[1], start())
    torch.testing.assert_close(first[2], start() / 401, rtol=1e-4, atol=0)


@pytest.mark.parametrize("tighter", [{"rtol": 1e-5, "atol": 1e-5}])
def test_a_smaller_tolerance_takes_more_and_better_steps(tighter):
    loose_calls, tight_calls = [], []
    loose = sample_dpm_adaptive(gaussian(loose_calls), start(), SIGMAS, on_step=nothing)
    tight = sample_dpm_adaptive(gaussian(tight_calls), start(), SIGMAS, on_step=nothing, **tighter)
    assert len(tight_calls) > 1.5 * len(loose_calls)
    goal = exact(20, 0.05) / (1 + 0.05**2)
    errors = [abs(made[0, 0, 0].item() - goal) for made in (loose, tight)]
    assert errors[1] < errors[0] / 10


def test_the_first_step_has_the_length_that_was_asked_for():
    calls = []
    sample_dpm_adaptive(gaussian(calls), start(), SIGMAS, on_step=nothing, h_init=0.3)
    assert calls[:3] == pytest.approx([20, 20 * exp(-0.1), 20 * exp(-0.2)], rel=1e-5)


def test_the_length_of_the_next_step_follows_the_difference_of_the_orders():
    calls, begin, h = [], 2.0, 0.5
    sigmas = torch.tensor([begin, 0.05, 0.0])
    sample_dpm_adaptive(gaussian(calls), start(), sigmas, on_step=nothing, h_init=h)

    def eps(x, sigma):
        return (x - x / (1 + sigma**2)) / sigma

    first = eps(5, begin)
    one, two, end = (begin * exp(-h * r) for r in (1 / 3, 2 / 3, 1))
    bend = eps(5 - one * expm1(h / 3) * first, one) - first
    low = 5 - end * expm1(h) * (first + 1.5 * bend)
    growth = expm1(2 * h / 3)
    ahead = 5 - two * (growth * first + 2 * (growth / (2 * h / 3) - 1) * bend)
    bend = eps(ahead, two) - first
    high = 5 - end * (expm1(h) * first + 1.5 * (expm1(h) / h - 1) * bend)
    error = abs(low - high) / (0.01 * 5)  # the larger of x and its next value is 5
    factor = 1 + atan((1 / (1e-8 + error)) ** (1 / 3) - 1)
    assert calls[3] == pytest.approx(end, rel=1e-5)  # the step was taken
    assert calls[4] == pytest.approx(end * exp(-h * factor / 3), rel=1e-4)


def test_a_step_whose_orders_differ_too_much_is_tried_again_from_the_same_place():
    calls, taken = [], []
    on_step = lambda step, x, _denoised: taken.append(x.clone())  # noqa: E731
    sample_dpm_adaptive(gaussian(calls), start(), SIGMAS, on_step=on_step, h_init=5.0)
    assert calls[3] == pytest.approx(20, rel=1e-5)
    assert calls[4] > calls[1]  # a shorter step
    assert torch.equal(taken[0], start())


def test_the_last_step_does_not_go_below_the_smallest_sigma():
    calls = []
    sample_dpm_adaptive(gaussian(calls), start(), SIGMAS, on_step=nothing, h_init=3.0)
    assert min(calls) == calls[-1] == pytest.approx(0.05, rel=1e-5)
