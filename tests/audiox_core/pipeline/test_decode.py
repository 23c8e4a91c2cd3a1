"""Latents to sound: how much is decoded, and to which level it is brought."""

import logging
from dataclasses import fields

import pytest
import torch

from audiox_core import decode
from audiox_core.checkpoint.checkpoint_file import Checkpoint
from audiox_core.config import LatentConfig
from audiox_core.errors import AudioXError, SettingsError
from audiox_core.lab.bench.memory import peak_bytes
from audiox_core.media.loudness import measure_loudness
from audiox_core.models.oobleck import CPU_NUMBERS
from audiox_core.pipeline.decode import decode_with, finish, limit_peak
from audiox_core.pipeline.init_audio import InitAudio, init_audio

FORMAT = LatentConfig()


def test_only_the_frames_that_are_heard_are_decoded():
    seen = []

    def decoder(latent):
        seen.append(latent.shape[-1])
        return torch.zeros(len(latent), 2, latent.shape[-1] * 2_048)

    latent = torch.zeros(1, 64, 236)
    assert decode_with(decoder, latent, FORMAT, 1.0).shape == (1, 2, 44_100)
    assert decode_with(decoder, latent, FORMAT).shape == (1, 2, 236 * 2_048)
    assert seen == [22 + 10, 236]  # 21.5 frames and those after the end that reach into it


@pytest.mark.parametrize("frames", [7, 60])
def test_the_ends_of_a_decoded_loop_fit_together(checkpoint, seeded, frames):
    """Wherever a loop begins, it sounds the same: no frame of it is a border."""
    latent = torch.randn(1, 64, frames, generator=seeded)
    shift = frames // 3
    loop = decode(checkpoint, latent, loop=True)
    assert loop.shape == (1, 2, frames * 2_048)
    later = decode(checkpoint, latent.roll(shift, dims=-1), loop=True)
    torch.testing.assert_close(later, loop.roll(shift * 2_048, dims=-1), rtol=1e-3, atol=1e-4)
    plain = decode(checkpoint, latent)
    ends = [slice(0, 2_048), slice(-2_048, None)]
    assert all((loop - plain)[..., end].abs().max() > 0.01 * plain.std() for end in ends)


def test_a_loop_has_exactly_the_samples_that_were_asked_for():
    """65 frames are 3.02 s: they are resampled to 3 s as one period."""
    decoder = lambda latent: latent[:, :2].repeat_interleave(2_048, -1)  # noqa: E731
    made = decode_with(decoder, torch.ones(1, 64, 65), FORMAT, 3.0, loop=True)
    torch.testing.assert_close(made, torch.ones(1, 2, 132_300))


def test_a_batch_is_decoded_item_by_item(checkpoint, seeded):
    latent = torch.randn(2, 64, 20, generator=seeded)
    both, second = decode(checkpoint, latent), decode(checkpoint, latent[1:])
    assert torch.equal(both[1:], second)


@pytest.mark.parametrize("shape", [(1, 4, 8), (1, 64), (0, 64, 8), (1, 64, 0), (1, 64, 8, 8)])
def test_another_latent_is_refused(checkpoint, shape):
    with pytest.raises(SettingsError, match="an AudioX latent is"):
        decode(checkpoint, torch.zeros(shape))


def test_a_loud_sound_is_lowered_to_full_scale_and_a_soft_one_is_kept(caplog):
    soft, loud = torch.tensor([[0.5, -0.25]]), torch.tensor([[2.0, -4.0]])
    with caplog.at_level(logging.INFO):
        assert limit_peak(soft) is soft
        assert limit_peak(loud).tolist() == [[0.5, -1.0]]
    assert "peaked at 4.00" in caplog.text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_sound_with_nan_or_infinite_samples_is_refused(value):
    with pytest.raises(AudioXError, match="overflowed"):
        finish(torch.tensor([[0.0, value], [0.0, 0.0]]), FORMAT)


def test_finish_brings_the_sound_to_the_chosen_level(seeded):
    sound = 0.1 * torch.randn(2, 2 * 44_100, generator=seeded).clamp(-3, 3)
    assert torch.equal(finish(sound, FORMAT), sound)
    assert finish(sound, FORMAT, level="peak").abs().max() == pytest.approx(1)
    loud = finish(sound, FORMAT, level="loudness", lufs=-23.0)
    assert measure_loudness(loud, 44_100).lufs == pytest.approx(-23, abs=0.1)


def test_known_samples_return_after_the_peak_was_limited():
    known = torch.full((2, 44_100), 0.5)
    init = InitAudio(known, spans=((0.5, 1.0),))
    out = finish(torch.full((2, 44_100), 4.0), FORMAT, init_audio=init)
    assert torch.equal(out[:, : 44_100 // 2], known[:, : 44_100 // 2])
    assert out[:, -4_000].tolist() == [1, 1]


def test_known_samples_above_full_scale_are_limited_together_with_the_rest(caplog):
    known = torch.full((2, 44_100), 2.0)
    generated = torch.full((2, 44_100), 0.5)
    with caplog.at_level(logging.INFO):
        out = finish(generated, FORMAT, init_audio=InitAudio(known, spans=((0.5, 1.0),)))
    assert out.abs().max() == 1
    assert out[0, [0, 33_000]].tolist() == [1.0, 0.25]
    assert "peaked at 2.00" in caplog.text


@pytest.mark.parametrize("settings", [{"level": "loud"}, {"lufs": float("nan")}, {"lufs": 1.0}])
def test_an_unknown_level_or_loudness_is_refused(settings):
    with pytest.raises(SettingsError, match=r"level is 'loud'|lufs is"):
        finish(torch.zeros(2, 44_100), FORMAT, **{"level": "loudness", **settings})


def test_known_samples_stay_where_a_crossfade_would_exceed_full_scale(checkpoint):
    latent_format = checkpoint.config.latent
    known = torch.full((2, 441_000), 0.95)
    init = init_audio(known, latent_format, ((4.0, 6.0),), 10.0)
    out = finish(torch.full((2, 441_000), 1.0), latent_format, init_audio=init)
    assert out.abs().max() <= 1
    assert torch.equal(out[:, : 3 * 44_100], known[:, : 3 * 44_100])
    assert torch.equal(out[:, 7 * 44_100 :], known[:, 7 * 44_100 :])


@pytest.mark.parametrize(("gain", "level"), [(1.0, "keep"), (9.0, "keep"), (1.0, "peak")])
def test_a_sound_is_finished_without_a_copy_on_demand(seeded, gain, level):
    sound = gain * 0.1 * torch.randn(2, 44_100, generator=seeded).clamp(-3, 3)
    expected = finish(sound, FORMAT, level=level)
    finished = []

    def run():
        finished.append(finish(sound, FORMAT, level=level, in_place=True))

    assert peak_bytes(run) < sound.nbytes / 10
    assert finished[0] is sound
    assert torch.equal(sound, expected)


def test_a_long_sound_is_decoded_with_one_copy_of_it(checkpoint):
    latent = torch.zeros(1, 64, 1_000)  # 46 s
    result, pieces = 2 * 1_000 * 2_048 * 4, 8 * 4 * CPU_NUMBERS  # bytes
    shares = []

    class Host(Checkpoint):
        def progress(self, done):
            shares.append(done)

    host = Host(**{f.name: getattr(checkpoint, f.name) for f in fields(checkpoint)})
    assert peak_bytes(lambda: decode(host, latent)) < result + pieces
    assert shares == sorted(shares)
    assert shares[-1] == 1
