"""Attention kernels and rotary positions, by hand."""

from math import cos, exp, sin

import pytest
import torch
from torch import Tensor

from audiox_core.models.attention import (
    apply_rotary_,
    apply_rotary_pairs,
    rotary_angles,
    rotation_of_halves,
    rotation_of_pairs,
    torch_attention,
)


def test_attention_is_the_softmax_of_scaled_products():
    # two heads of two dims; one query, two keys
    q = torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]]]])
    k = torch.tensor([[[[2.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [1.0, -1.0]]]])
    v = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]])
    first, second = (1 / (1 + exp(-x / 2**0.5)) for x in (2.0, 4.0))
    out = torch_attention(q, k, v)
    assert out.shape == (1, 1, 4)
    assert out.flatten().tolist() == pytest.approx([first, 1 - first, second, 1 - second])


def test_angles_fall_by_powers_of_ten_thousand():
    angles = rotary_angles(3, 4)
    assert angles[2].tolist() == pytest.approx([2.0, 0.02, 2.0, 0.02])
    assert not angles[0].any()


def turned_halves(x: Tensor, angles: Tensor) -> Tensor:
    x = x.clone()
    apply_rotary_(x, rotation_of_halves(angles))
    return x


def turned_pairs(x: Tensor, angles: Tensor) -> Tensor:
    return apply_rotary_pairs(x, rotation_of_pairs(angles))


def test_half_split_rotation_turns_a_dim_with_the_one_half_way_on():
    x = torch.tensor([1.0, 10.0, 3.0, 20.0, 7.0, 8.0]).view(1, 1, 1, 6)
    angles = torch.tensor([[0.5, 0.1, 0.5, 0.1]])
    expected = [
        1 * cos(0.5) - 3 * sin(0.5), 10 * cos(0.1) - 20 * sin(0.1),
        3 * cos(0.5) + 1 * sin(0.5), 20 * cos(0.1) + 10 * sin(0.1), 7, 8,
    ]  # fmt: skip
    assert turned_halves(x, angles).flatten().tolist() == pytest.approx(expected)


def test_interleaved_rotation_turns_a_dim_with_its_neighbour():
    x = torch.tensor([1.0, 10.0, 3.0, 20.0]).view(1, 1, 1, 4)
    angles = torch.tensor([[0.5, 0.1, 0.5, 0.1]])
    expected = [
        1 * cos(0.5) - 10 * sin(0.5), 1 * sin(0.5) + 10 * cos(0.5),
        3 * cos(0.1) - 20 * sin(0.1), 3 * sin(0.1) + 20 * cos(0.1),
    ]  # fmt: skip
    assert turned_pairs(x, angles).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("turn", [turned_halves, turned_pairs])
def test_products_of_turned_vectors_depend_on_their_distance_alone(turn, seeded):
    q, k = torch.randn(2, 1, 1, 1, 8, generator=seeded)
    angles = rotary_angles(20, 8)
    at = lambda x, place: turn(x, angles[place : place + 1])  # noqa: E731
    near, far = ((at(q, a) * at(k, b)).sum() for a, b in ((2, 5), (12, 15)))
    torch.testing.assert_close(near, far)


@pytest.mark.parametrize("turn", [turned_halves, turned_pairs])
def test_half_precision_is_turned_in_float32(turn, seeded):
    x = torch.randn(1, 300, 1, 8, generator=seeded)
    angles = rotary_angles(300, 8)
    half = turn(x.half(), angles)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), turn(x.half().float(), angles), atol=2e-3, rtol=0)


@pytest.mark.parametrize("turn", [turned_halves, turned_pairs])
def test_the_gradient_of_a_rotation_is_the_rotation_back(turn, seeded):
    x = torch.randn(1, 5, 2, 8, generator=seeded, requires_grad=True)
    turn(x, rotary_angles(5, 8)).backward(up := torch.randn(1, 5, 2, 8, generator=seeded))
    torch.testing.assert_close(x.grad, turn(up, -rotary_angles(5, 8)))
