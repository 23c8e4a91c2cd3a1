"""The temporal transformer: sequences by themselves, in no order of their own."""

import pytest
import torch

from audiox_core.config import TemporalConfig
from audiox_core.models.temporal import Attention, TemporalTransformer


@pytest.fixture
def filled(seeded):
    def fill(build):
        with torch.device("meta"):
            module = build()
        state = module.state_dict().items()
        state = {k: 0.5 * torch.randn(x.shape, generator=seeded) for k, x in state}
        module.load_state_dict(state, assign=True)
        return module.requires_grad_(False)

    return fill


@pytest.fixture
def transformer(filled):
    return filled(lambda: TemporalTransformer(8, TemporalConfig(2, 2, 4, 16)))


def test_frames_have_no_order_until_positions_are_added(transformer, seeded):
    x = torch.randn(1, 5, 8, generator=seeded)
    torch.testing.assert_close(transformer(x.flip(1)).flip(1), transformer(x))


def test_sequences_of_a_batch_do_not_mix(transformer, seeded):
    x = torch.randn(3, 5, 8, generator=seeded)
    torch.testing.assert_close(transformer(x)[1:2], transformer(x[1:2]))


def test_attention_to_a_single_frame_is_its_value(filled, seeded):
    attention = filled(lambda: Attention(8, 2, 4))
    x = torch.randn(1, 1, 8, generator=seeded)
    value = x @ attention.to_qkv.weight[16:].T
    out = attention.to_out[0]
    torch.testing.assert_close(attention(x), value @ out.weight.T + out.bias)


def test_a_layer_adds_attention_and_then_its_mlp(filled, seeded):
    one = filled(lambda: TemporalTransformer(8, TemporalConfig(1, 2, 4, 16)))
    x = torch.randn(1, 5, 8, generator=seeded)
    attention, mlp = one.layers[0]
    y = x + attention.fn(attention.norm(x))
    torch.testing.assert_close(one(x), one.norm(y + mlp.fn(mlp.norm(y))))
