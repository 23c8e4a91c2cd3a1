"""Channels to stereo, sample formats to floats."""

import av
import numpy as np
import pytest
import torch

from audiox_core.errors import MediaError
from audiox_core.media.audio import read_audio
from audiox_core.media.decode import Block, stereo_blocks, to_stereo
from audiox_core.media.files import open_media


def test_a_block_ends_after_its_samples():
    from fractions import Fraction

    assert Block(Fraction(1, 2), torch.zeros(2, 300), 400).end == Fraction(5, 4)


def test_one_channel_goes_to_both_and_two_stay():
    one, two = torch.ones(1, 4), torch.tensor([[1.0], [2.0]])
    assert torch.equal(to_stereo(one, ["FC"]), torch.ones(2, 4))
    assert torch.equal(to_stereo(two, ["FL", "FR"]), two)


def test_a_centre_channel_is_three_decibels_down_in_both():
    left, right, centre = torch.eye(3)
    mixed = to_stereo(torch.stack([left, right, centre]), ["FL", "FR", "FC"])
    weight = 2**-0.5
    torch.testing.assert_close(mixed, torch.tensor([[1, 0, weight], [0, 1, weight]]))


@pytest.mark.parametrize(
    "layout", ["2.1", "3.0", "4.0", "quad", "5.0", "5.1", "5.1(side)", "6.1", "7.0", "7.1"]
)
def test_every_layout_is_mixed_as_ffmpeg_mixes_it(layout):
    speakers = [channel.name for channel in av.AudioLayout(layout).channels]
    channels = np.eye(len(speakers), 64, dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(channels.T.reshape(1, -1), format="flt", layout=layout)
    frame.sample_rate = 48_000
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=48_000)
    expected = [
        made.to_ndarray() for made in (*resampler.resample(frame), *resampler.resample(None))
    ]
    mixed = to_stereo(torch.eye(len(speakers), 64), speakers)
    torch.testing.assert_close(mixed, torch.from_numpy(np.concatenate(expected, axis=1)))


def test_six_channels_without_a_layout_are_five_and_a_bass():
    known = to_stereo(torch.eye(6), ["FL", "FR", "FC", "LFE", "BL", "BR"])
    assert torch.equal(to_stereo(torch.eye(6)), known)


def test_no_channel_of_three_is_lost():
    assert to_stereo(torch.eye(3)).abs().sum(dim=0).min() > 0.5


def test_more_channels_than_a_layout_has_are_averaged():
    assert torch.equal(to_stereo(torch.ones(9, 4)), torch.ones(2, 4))


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


def test_more_planes_than_pyav_can_read_are_refused(field):
    """A damaged AAC stream that turns to 45 channels: PyAV's arrays of it crash the process."""
    with pytest.raises(MediaError, match="has 45 channels, but at most 8 can be read"):
        read_audio(field / "channels-45.mp4")
