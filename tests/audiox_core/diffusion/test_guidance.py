import torch

from audiox_core.diffusion.guidance import guide, guided


def test_cfg_one_is_the_conditional_prediction(seeded):
    cond, uncond = torch.randn(2, 2, 8, 8, generator=seeded)
    torch.testing.assert_close(guide(cond, uncond, 1.0), cond)


def test_both_branches_share_one_forward(seeded):
    x = torch.randn(3, 4, 4, generator=seeded)
    batches = []

    def branches(x, t):
        batches.append((len(x), len(t)))
        return torch.cat([torch.ones_like(x[:3]), torch.zeros_like(x[3:])])

    out = guided(branches, 7.0, 0.0)(x, torch.zeros(3))
    assert batches == [(6, 6)]
    assert torch.equal(out, torch.full_like(x, 7.0))


def test_rescale_returns_to_the_conditional_spread(seeded):
    cond, uncond = torch.randn(2, 2, 64, 10, generator=seeded)
    out = guide(cond, uncond, 7.0, rescale=1.0)
    torch.testing.assert_close(out.std(dim=1), cond.std(dim=1))
    halfway = guide(cond, uncond, 7.0, rescale=0.5)
    torch.testing.assert_close(halfway, (out + guide(cond, uncond, 7.0)) / 2)
