"""Convolutions in pieces: however a sound is cut, the result is that of the whole."""

from functools import partial

import pytest
import torch
from torch import nn

from audiox_core.models.streaming import (
    Joined,
    StreamedConv,
    StreamedResidual,
    StreamedStridedConv,
    StreamedTransposedConv,
    stream,
)

WAYS = {
    "convolution": (partial(nn.Conv1d, 2, 3, 7, dilation=3, padding=9), StreamedConv),
    "single tap": (partial(nn.Conv1d, 2, 3, 1), StreamedConv),
    "upwards": (partial(nn.ConvTranspose1d, 2, 3, 8, 4, 2), StreamedTransposedConv),
    "upwards by 5": (partial(nn.ConvTranspose1d, 2, 3, 10, 5, 3), StreamedTransposedConv),
    "downwards": (partial(nn.Conv1d, 2, 3, 8, 4, 2), StreamedStridedConv),
    "downwards by 3": (partial(nn.Conv1d, 2, 3, 6, 3, 2), StreamedStridedConv),
}


@pytest.fixture(autouse=True)
def _fixed_weights():
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        yield


def halved(x, out):
    torch.mul(x, 0.5, out=out)


def joined(layers, x, sizes, limit=None):
    """The result for `x` in pieces of these sizes."""
    parts = x.split(sizes, dim=-1)
    made = [stream(layers, part, part is parts[-1], limit) for part in parts]
    return torch.cat([piece for pieces in made for piece in pieces], dim=-1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sizes", [[41], [1] * 41, [30, 11], [2, 3, 17, 1, 18]])
def test_pieces_of_any_size_give_the_whole(way, sizes, seeded):
    make, streamed = WAYS[way]
    layer = make()
    x = torch.randn(2, 2, 41, generator=seeded)
    torch.testing.assert_close(joined([streamed(layer, halved)], x, sizes), layer(0.5 * x))


@pytest.mark.parametrize("sizes", [[41], [1] * 41, [5, 36]])
def test_a_residual_layer_adds_its_input_at_its_time(sizes, seeded):
    wide, narrow = nn.Conv1d(2, 2, 3, dilation=4, padding=4), nn.Conv1d(2, 2, 1)
    layers = [StreamedResidual(StreamedConv(wide, halved), StreamedConv(narrow, halved))]
    x = torch.randn(1, 2, 41, generator=seeded)
    torch.testing.assert_close(joined(layers, x, sizes), narrow(0.5 * wide(0.5 * x)) + x)


def test_pieces_are_cut_where_they_get_large_and_joined_where_they_get_small(seeded):
    def watch(lengths, piece, last):
        lengths.append(piece.shape[-1])
        return piece

    up, down = nn.ConvTranspose1d(2, 3, 8, 4, 2), nn.Conv1d(3, 2, 8, 4, 2)
    large, small, end = [], [], []
    layers = [
        StreamedTransposedConv(up, halved), partial(watch, large),
        StreamedStridedConv(down, halved), partial(watch, small),
        Joined(60), partial(watch, end),
    ]  # fmt: skip
    x = torch.randn(1, 2, 100, generator=seeded)
    torch.testing.assert_close(joined(layers, x, [100], limit=120), down(0.5 * up(0.5 * x)))
    assert large == [40] * 10  # 120 numbers each
    assert (len(small), sum(small)) == (10, 100)
    assert sum(end) == 100
    assert all(length >= 30 for length in end[:-1])  # 60 numbers


def test_samples_after_the_last_complete_step_change_nothing(seeded):
    down, tap = nn.Conv1d(2, 2, 8, 4, 2), nn.Conv1d(2, 2, 1)
    layers = [StreamedStridedConv(down, halved), StreamedConv(tap, halved), Joined(1_000)]
    x = torch.randn(1, 2, 23, generator=seeded)
    torch.testing.assert_close(joined(layers, x, [1] * 23), tap(0.5 * down(0.5 * x)))
