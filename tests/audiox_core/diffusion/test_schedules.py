import pytest
import torch

from audiox_core.diffusion.schedules import polyexponential


def test_sigmas_fall_from_the_largest_to_the_smallest_to_zero():
    sigmas = polyexponential(250, 0.3, 500)
    assert len(sigmas) == 251
    assert sigmas[0].item() == pytest.approx(500)
    assert sigmas[-2].item() == pytest.approx(0.3)
    assert sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()


def test_each_step_divides_by_the_same_number():
    ratios = polyexponential(10, 0.3, 500)[:-1].log().diff()
    torch.testing.assert_close(ratios, ratios[:1].expand(9), atol=1e-5, rtol=0)


def test_one_step_is_the_largest_sigma():
    assert polyexponential(1, 0.3, 500).tolist() == [pytest.approx(500), 0.0]
