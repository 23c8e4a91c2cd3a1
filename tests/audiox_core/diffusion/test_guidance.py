"""Classifier-free guidance and its rescale, of predictions and of denoised estimates."""

import pytest
import torch

from audiox_core.diffusion.guidance import (
    guide,
    guide_denoised,
    guided,
    join_branches,
    merge_branches,
)
from audiox_core.diffusion.objectives import flow_scalings, v_scalings

COND, UNCOND = torch.tensor([[[1.0], [3.0]]]), torch.tensor([[[2.0], [1.0]]])  # `1 2 1`


def test_guidance_moves_away_from_the_unconditional_prediction():
    assert guide(COND, UNCOND, 3.0).flatten().tolist() == [-1.0, 7.0]
    assert guide(COND, UNCOND, 0.0).flatten().tolist() == [2.0, 1.0]


def test_cfg_one_is_the_conditional_prediction(seeded):
    cond, uncond = torch.randn(2, 2, 8, 8, generator=seeded)
    torch.testing.assert_close(guide(cond, uncond, 1.0), cond)


def test_the_rescale_matches_a_value_computed_by_hand():
    # deviations over the channels: sqrt(2) of (1, 3), 4 sqrt(2) of (-1, 7): a quarter
    assert guide(COND, UNCOND, 3.0, rescale=1.0).flatten().tolist() == pytest.approx([-0.25, 1.75])
    half = guide(COND, UNCOND, 3.0, rescale=0.5).flatten().tolist()
    assert half == pytest.approx([-0.625, 4.375])
    quarter = guide(COND, UNCOND, 3.0, rescale=0.25).flatten().tolist()
    assert quarter == pytest.approx([-0.8125, 5.6875])


def test_rescale_looks_at_each_frame_by_itself(seeded):
    cond, uncond = torch.randn(2, 2, 64, 10, generator=seeded)
    out = guide(cond, uncond, 7.0, rescale=1.0)
    torch.testing.assert_close(out.std(dim=1), cond.std(dim=1))
    alone = guide(cond[:1, :, 3:4], uncond[:1, :, 3:4], 7.0, rescale=1.0)
    torch.testing.assert_close(out[:1, :, 3:4], alone)


def test_both_branches_share_one_forward(seeded):
    x = torch.randn(3, 4, 4, generator=seeded)
    batches = []

    def branches(x, t):
        batches.append((x, t))
        return torch.cat([torch.ones_like(x[:3]), torch.zeros_like(x[3:])])

    t = torch.tensor([0.1, 0.2, 0.3])
    out = guided(branches, (7.0,), 0.0)(x, t)
    ((both, times),) = batches
    assert torch.equal(both, torch.cat([x, x]))
    assert torch.equal(times, torch.cat([t, t]))
    assert torch.equal(out, torch.full_like(x, 7.0))  # the first half is the conditional one


def test_guided_passes_on_the_rescale():
    branches = lambda x, t: torch.cat([COND, UNCOND])  # noqa: E731
    out = guided(branches, (3.0,), 1.0)(torch.zeros(1, 2, 1), torch.zeros(1))
    assert out.flatten().tolist() == pytest.approx([-0.25, 1.75])


@pytest.mark.parametrize("scalings", [v_scalings, flow_scalings])
@pytest.mark.parametrize("rescale", [0.0, 0.75])
def test_denoised_estimates_are_guided_as_their_predictions_are(seeded, scalings, rescale):
    x, cond, uncond = torch.randn(3, 2, 4, 5, generator=seeded)
    sigma = torch.tensor([0.5, 3.0])
    c_skip, c_out = (c[:, None, None] for c in scalings(sigma)[:2])
    denoised = [c_skip * x + c_out * v for v in (cond, uncond)]
    made = guide_denoised(*denoised, x, sigma, cfg=7.0, rescale=rescale, scalings=scalings)
    expected = c_skip * x + c_out * guide(cond, uncond, 7.0, rescale)
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-4)


def test_the_rescale_of_a_denoised_estimate_by_hand():
    """At sigma 1 of v-prediction: denoised = x / 2 - v / sqrt(2)."""
    x, root = torch.tensor([[[4.0], [2.0]]]), 2**0.5
    denoised = [x / 2 - v / root for v in (COND, UNCOND)]
    made = guide_denoised(*denoised, x, torch.ones(1), cfg=3.0, rescale=1.0)
    assert made.flatten().tolist() == pytest.approx([2 + 0.25 / root, 1 - 1.75 / root], rel=1e-5)
    made = guide_denoised(*denoised, x, torch.ones(1), cfg=3.0, rescale=0.0)
    assert made.flatten().tolist() == pytest.approx([2 + 1 / root, 1 - 7 / root], rel=1e-5)


class TestSeveralConditions:
    """Each branch adds one condition, and its difference has a weight of its own."""

    @pytest.mark.parametrize(
        ("weights", "computed"),
        [
            ((4, 4, 4), [(4, "tva")]),  # ordinary guidance
            ((4, 4, 0), [(4, "tv")]),  # without audio
            ((4, 4, 2), [(4, "tv"), (2, "tva")]),
            ((1, 7, 7), [(1, "t"), (7, "tva")]),
            ((0, 7, 0), [(0, "t"), (7, "tv")]),  # t is subtracted
            ((4, 0, 0), [(4, "t")]),
            ((4, 0, 4), [(4, "t"), (0, "tv"), (4, "tva")]),
            ((0, 0, 0), [(0, "tva")]),
            ((1, 2, 3), [(1, "t"), (2, "tv"), (3, "tva")]),
        ],
    )
    def test_branches_that_cancel_are_not_computed(self, weights, computed):
        branches = list(zip(weights, ["t", "tv", "tva"], strict=True))
        assert merge_branches(branches) == computed

    @pytest.mark.parametrize("weights", [(4, 4, 4), (4, 4, 0), (1, 7, 7), (0, 7, 0), (1, 2, 3)])
    def test_the_branches_that_are_left_give_the_same_difference(self, seeded, weights):
        u, t, tv, tva = torch.randn(4, 2, 8, 5, generator=seeded, dtype=torch.float64)
        wt, wv, wa = weights
        expected = u + wt * (t - u) + wv * (tv - t) + wa * (tva - tv)
        left = merge_branches(list(zip(weights, [t, tv, tva], strict=True)))
        cond, cfg = join_branches([b for _, b in left], u, [w for w, _ in left])
        torch.testing.assert_close(guide(cond, u, cfg), expected)

    def test_a_single_branch_is_ordinary_guidance_bit_for_bit(self, seeded):
        both = torch.randn(4, 8, 5, generator=seeded)
        x, t = torch.zeros(2, 8, 5), torch.zeros(2)
        made = guided(lambda *_: both, (3.0,), 0.7)(x, t)
        assert torch.equal(made, guide(both[:2], both[2:], 3.0, 0.7))

    def test_the_rescale_compares_with_the_joined_prediction(self, seeded):
        """Its largest weight is cfg, so no difference counts more than in a prediction."""
        predicted = torch.randn(3, 8, 5, generator=seeded)
        t, tv, u = predicted[:, None]
        out = guided(lambda *_: predicted, (2.0, 4.0), 1.0)(torch.zeros(1, 8, 5), torch.zeros(1))
        joined = u + (t - u) / 2 + (tv - t)
        torch.testing.assert_close(out.std(dim=1), joined.std(dim=1))
        torch.testing.assert_close(out, guide(joined, u, 4.0, 1.0))
