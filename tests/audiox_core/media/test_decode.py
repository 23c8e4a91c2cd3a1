"""Channels to stereo, sample formats to floats."""

import numpy as np
import pytest
import torch

from audiox_core.media.decode import Block, stereo_blocks, to_stereo
from audiox_core.media.files import open_media


def test_a_block_ends_after_its_samples():
    from fractions import Fraction

    assert Block(Fraction(1, 2), torch.zeros(2, 300), 400).end == Fraction(5, 4)


def test_one_channel_goes_to_both_and_two_stay():
    one, two = torch.ones(1, 4), torch.tensor([[1.0], [2.0]])
    assert torch.equal(to_stereo(one, ["FC"]), torch.ones(2, 4))
    assert torch.equal(to_stereo(two, ["FL", "FR"]), two)


def test_a_centre_channel_is_three_decibels_down_in_both_and_the_sum_is_limited():
    left, right, centre = torch.eye(3)
    mixed = to_stereo(torch.stack([left, right, centre]), ["FL", "FR", "FC"])
    weight = 2**-0.5
    expected = torch.tensor([[1, 0, weight], [0, 1, weight]]) / (1 + weight)
    torch.testing.assert_close(mixed, expected)


def test_unknown_speakers_are_averaged():
    mixed = to_stereo(torch.tensor([[0.0], [0.3], [0.6]]), ["NONE"] * 3)
    torch.testing.assert_close(mixed, torch.tensor([[0.3], [0.3]]))


@pytest.mark.parametrize(
    ("kind", "codec", "stored"),
    [
        ("u8", "pcm_u8", np.array([[0, 128, 255]], np.uint8)),
        ("s16", "pcm_s16le", np.array([[-32_768, 0, 32_767]], np.int16)),
        ("flt", "pcm_f32le", np.array([[-1.0, 0.0, 1.0]], np.float32)),
    ],
)
def test_integers_are_scaled_to_full_scale(sound_file, kind, codec, stored):
    path = sound_file(
        "a.wav", stored.repeat(100, axis=1), 8_000, codec=codec, kind=kind, layout="mono"
    )
    with open_media(path) as container:
        blocks = list(stereo_blocks(container, container.streams.audio[0], "a.wav"))
    samples = torch.cat([block.samples for block in blocks], dim=1)[:, ::100]
    torch.testing.assert_close(samples, torch.tensor([[-1.0, 0.0, 1.0]] * 2), atol=1 / 127, rtol=0)
