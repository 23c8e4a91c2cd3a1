import torch

from audiox_core.diffusion.guidance import guide, guided


def test_cfg_one_is_the_conditional_prediction_in_a_single_forward(seeded):
    x, positive, negative = torch.randn(3, 2, 8, 8, generator=seeded)
    batches = []

    def predict(x, t, tokens):
        batches.append(len(x))
        return x + tokens

    out = guided(predict, positive, negative, 1.0, 0.0)(x, torch.zeros(2))
    assert torch.equal(out, x + positive)
    assert batches == [2]


def test_both_branches_share_one_forward_and_one_token_row_serves_a_batch(seeded):
    x = torch.randn(3, 4, 4, generator=seeded)
    positive, negative = torch.ones(1, 4, 4), torch.zeros(1, 4, 4)
    batches = []

    def predict(x, t, tokens):
        batches.append(len(x))
        return tokens.clone()

    out = guided(predict, positive, negative, 7.0, 0.0)(x, torch.zeros(3))
    assert batches == [6]
    assert torch.equal(out, torch.full_like(x, 7.0))


def test_rescale_returns_to_the_conditional_spread(seeded):
    cond, uncond = torch.randn(2, 2, 64, 10, generator=seeded)
    out = guide(cond, uncond, 7.0, rescale=1.0)
    torch.testing.assert_close(out.std(dim=1), cond.std(dim=1))
    halfway = guide(cond, uncond, 7.0, rescale=0.5)
    torch.testing.assert_close(halfway, (out + guide(cond, uncond, 7.0)) / 2)
