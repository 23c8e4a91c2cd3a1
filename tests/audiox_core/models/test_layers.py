"""Small layers, by hand."""

from math import cos, exp, pi, sin

import pytest
import torch

from audiox_core.models.layers import FeedForward, FourierFeatures, GatedLinear, embedding_mlp


@pytest.fixture
def filled():
    """Build a module without drawing random numbers, and fill it with a constant."""

    def fill(build, value: float = 0.0):
        with torch.device("meta"):
            module = build()
        state = {name: torch.full(x.shape, value) for name, x in module.state_dict().items()}
        module.load_state_dict(state, assign=True)
        return module.requires_grad_(False)

    return fill


def silu(x: float) -> float:
    return x / (1 + exp(-x))


def test_fourier_features_are_cosines_then_sines(filled):
    features = filled(lambda: FourierFeatures(2))
    features.weight.copy_(torch.tensor([[1.0], [3.0]]))
    turn = 2 * pi * 0.1
    expected = [cos(turn), cos(3 * turn), sin(turn), sin(3 * turn)]
    assert features(torch.tensor([0.1]))[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_fourier_features_stay_in_float32(filled):
    features = filled(lambda: FourierFeatures(2), 100.0)
    near, other = features(torch.tensor([0.5001, 0.5002], dtype=torch.float64))
    assert near.dtype == torch.float32
    assert (near - other).abs().max() > 1e-3


def test_the_second_half_of_a_gated_linear_is_the_gate(filled):
    layer = filled(lambda: GatedLinear(1, 1))
    layer.proj.weight.copy_(torch.tensor([[2.0], [3.0]]))
    assert layer(torch.tensor([[1.0]])).item() == pytest.approx(2 * silu(3))


def test_a_feed_forward_is_as_wide_as_its_factor_says(filled):
    layer = filled(lambda: FeedForward(4, 3), 0.5)
    assert layer.ff[0].proj.weight.shape == (24, 4)
    # each of 12 inner channels: 2.5 silu(2.5); then their halves and a bias of a half
    expected = 0.5 + 12 * 0.5 * 2.5 * silu(2.5)
    assert layer(torch.ones(1, 1, 4))[0, 0].tolist() == pytest.approx([expected] * 4)


@pytest.mark.parametrize(("bias", "expected"), [(True, 0.5 + 2 * 0.5 * 1.0), (False, None)])
def test_an_embedding_is_two_linears_around_a_silu(filled, bias, expected):
    layer = filled(lambda: embedding_mlp(1, 2, bias=bias), 0.5)
    inner = silu(0.5 + 0.5 * bias)
    out = layer(torch.ones(1, 1))
    assert out[0].tolist() == pytest.approx([0.5 * bias + 2 * 0.5 * inner] * 2)
    assert expected is None or len(layer.state_dict()) == 4
