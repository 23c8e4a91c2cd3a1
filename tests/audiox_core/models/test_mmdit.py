"""MMDiT against plain formulas, and how its conditions are prepared."""

import pytest
import torch
from torch import nn

from audiox_core.config import MMDiTConfig
from audiox_core.errors import SettingsError
from audiox_core.models import mmdit
from audiox_core.models.mmdit import MMDiT, half_overflows, rms_norm, token_conv

SIZES = MMDiTConfig(4, 24, 3, 6, 10, 0, 32, 3, 8, 5)  # 24 wide, 3 blocks, 7 frames, 5 tokens


@pytest.fixture
def model(seeded):
    with torch.device("meta"):
        model = MMDiT(SIZES)
    state = {
        name: torch.randn(x.shape, generator=seeded) / max(1, x[0].numel()) ** 0.5
        for name, x in model.state_dict().items()
    }
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(False)


@pytest.fixture
def inputs(seeded):
    x, cond = torch.randn(2, 4, 7, generator=seeded), torch.randn(2, 5, 10, generator=seeded)
    return x, torch.tensor([0.2, 0.9]), cond


def test_the_prediction_matches_the_plain_formulas(model, inputs, plain_mmdit):
    plain = plain_mmdit(model.state_dict(), depth=3, head_dim=6)
    torch.testing.assert_close(model(*inputs), plain(*inputs), atol=1e-4, rtol=1e-4)


def test_no_condition_gives_the_same_output_as_zeros(model, inputs):
    x, t, cond = inputs
    torch.testing.assert_close(model(x, t), model(x, t, torch.zeros_like(cond)))


def test_a_prepared_condition_predicts_what_its_tokens_do(model, inputs):
    assert torch.equal(model(*inputs[:2], model.prepare(inputs[2])), model(*inputs))


@pytest.mark.parametrize("rows", [[1, 0], [1, None], [None, None], [0, 1]])
def test_rows_say_which_condition_an_item_takes(model, inputs, rows):
    x, t, cond = inputs
    zeros = torch.zeros_like(cond[0])
    taken = torch.stack([zeros if row is None else cond[row] for row in rows])
    made = model(x, t, model.prepare(cond, rows))
    torch.testing.assert_close(made, model(x, t, taken), atol=1e-4, rtol=1e-5)


def test_a_single_condition_serves_every_item(model, inputs):
    x, t, cond = inputs
    shared = model(x, t, model.prepare(cond[:1]))
    alone = model(x, t, cond[:1].expand(2, -1, -1))
    torch.testing.assert_close(shared, alone, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("frames", [6, 8])
def test_another_length_than_a_window_is_refused(model, inputs, frames):
    _, t, cond = inputs
    with pytest.raises(SettingsError, match=rf"has {frames} frames"):
        model(torch.zeros(2, 4, frames), t, cond)


@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_over_tokens_is_that_of_torch(seeded, bias):
    with torch.device("meta"):
        layer = token_conv(nn.Conv1d, 3)(4, 6, bias=bias)
        plain = nn.Conv1d(4, 6, 3, padding=1, bias=bias)
    state = {n: torch.randn(t.shape, generator=seeded) for n, t in layer.state_dict().items()}
    layer.load_state_dict(state, assign=True)
    plain.load_state_dict(state, assign=True)
    assert layer.padding == plain.padding
    x = torch.randn(2, 4, 7, generator=seeded)
    torch.testing.assert_close(layer(x), plain(x))


def test_gradients_reach_every_weight_of_a_block(model, inputs):
    """Nothing that a step writes in place is needed by the backward pass."""
    model.requires_grad_(True)
    model(*inputs).square().sum().backward()
    missing = {name for name, weight in model.named_parameters() if weight.grad is None}
    unused = {"to_cond_embed.0.weight", "to_cond_embed.2.weight"}
    assert {n for n in missing if "cross_attn.to_q" not in n} == unused


def squared_in_its_dtype(x, shape, eps=1e-6):
    """`rms_norm` of torch 2.4."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)


@pytest.mark.parametrize("norm", [mmdit.torch_rms_norm, squared_in_its_dtype])
def test_large_float16_numbers_are_normalized_with_every_torch(monkeypatch, norm):
    monkeypatch.setattr(mmdit, "torch_rms_norm", norm)
    monkeypatch.setattr(mmdit, "HALF_OVERFLOWS", half_overflows())
    large = torch.tensor([3000.0, -4000.0], dtype=torch.float16)
    normal = torch.tensor([0.6, -0.8], dtype=torch.float16) * 2**0.5
    torch.testing.assert_close(rms_norm(large), normal)


def test_only_a_torch_that_squares_in_float16_is_found_to_overflow(monkeypatch):
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    assert half_overflows() == (version < (2, 5))
    monkeypatch.setattr(mmdit, "torch_rms_norm", squared_in_its_dtype)
    assert half_overflows()
