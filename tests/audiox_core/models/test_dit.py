import pytest
import torch
from torch import nn

from audiox_core.config import DiTConfig
from audiox_core.models.dit import DiT, rename_norms

SIZES = DiTConfig(io_channels=4, width=64, depth=2, head_dim=32, cond_dim=32, global_dim=0)


@pytest.fixture(scope="module")
def dit():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DiT(SIZES).eval()
        nn.init.normal_(model.timestep_features.weight)
        return model.requires_grad_(False)


def test_zero_tokens_give_the_same_output_as_no_tokens(dit, seeded):
    x, t = torch.randn(2, 4, 9, generator=seeded), torch.tensor([0.1, 0.9])
    torch.testing.assert_close(dit(x, t, torch.zeros(2, 5, 32)), dit(x, t))


def test_the_output_depends_on_tokens_and_time(dit, seeded):
    x, tokens = torch.randn(1, 4, 9, generator=seeded), torch.randn(1, 5, 32, generator=seeded)
    out = dit(x, torch.tensor([0.5]), tokens)
    assert not torch.allclose(out, dit(x, torch.tensor([0.5]), -tokens), atol=1e-3)
    assert not torch.allclose(out, dit(x, torch.tensor([0.6]), tokens), atol=1e-3)


def test_items_of_a_batch_do_not_mix(dit, seeded):
    x, tokens = torch.randn(3, 4, 9, generator=seeded), torch.randn(3, 5, 32, generator=seeded)
    t = torch.tensor([0.1, 0.5, 0.9])
    alone = dit(x[1:2], t[1:2], tokens[1:2])
    torch.testing.assert_close(dit(x, t, tokens)[1:2], alone, atol=1e-5, rtol=1e-5)


def test_layers_and_kernel_are_handed_in():
    made, calls = [], []

    class Ops:
        def __getattr__(self, name):
            made.append(name)
            return getattr(nn, name)

    def attention(q, k, v):
        calls.append(q.shape)
        return q.transpose(1, 2).flatten(2)

    with torch.random.fork_rng():
        model = DiT(SIZES, ops=Ops(), attention=attention)
    model(torch.zeros(1, 4, 9), torch.zeros(1), torch.zeros(1, 5, 32))
    assert set(made) == {"Linear", "LayerNorm", "Conv1d"}
    assert len(calls) == 2 * SIZES.depth


def test_norms_are_renamed_and_nothing_else():
    state = {"layers.0.ff_norm.gamma": 1, "layers.0.ff_norm.beta": 2, "to_qkv.weight": 3, "x": 4}
    assert rename_norms(state) == {
        "layers.0.ff_norm.weight": 1, "layers.0.ff_norm.bias": 2, "to_qkv.weight": 3, "x": 4,
    }  # fmt: skip


def test_a_prepared_context_predicts_what_tokens_do(dit, seeded):
    x, tokens = torch.randn(3, 4, 9, generator=seeded), torch.randn(3, 5, 32, generator=seeded)
    t = torch.tensor([0.1, 0.5, 0.9])
    assert torch.equal(dit(x, t, dit.prepare(tokens)), dit(x, t, tokens))
    one_for_all = dit.prepare(tokens[:1])
    torch.testing.assert_close(dit(x, t, one_for_all), dit(x, t, tokens[:1].expand(3, -1, -1)))


def test_items_that_do_not_attend_see_zeros(dit, seeded):
    x, tokens = torch.randn(4, 4, 9, generator=seeded), torch.randn(2, 5, 32, generator=seeded)
    t = torch.full((4,), 0.5)
    plain = dit(x, t, torch.cat([tokens, torch.zeros_like(tokens)]))
    torch.testing.assert_close(dit(x, t, dit.prepare(tokens, [0, 1, None, None])), plain)


def test_a_prediction_with_gradients_is_the_one_without(dit, seeded):
    """Without gradients parts of it are computed in place."""
    x, tokens = torch.randn(2, 4, 9, generator=seeded), torch.randn(2, 5, 32, generator=seeded)
    x.requires_grad_(True)
    t = torch.tensor([0.1, 0.9])
    with_gradients = dit(x, t, tokens)
    with torch.no_grad():
        torch.testing.assert_close(dit(x, t, tokens), with_gradients)
    with_gradients.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
