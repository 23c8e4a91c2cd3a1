"""A new VAE, before it learned anything."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from audiox_core.analysis.onsets import match, onset_times
from audiox_core.analysis.spectra import band_levels
from audiox_core.config import OobleckConfig
from audiox_core.lab.from_scratch.init import new_vae
from audiox_core.lab.from_scratch.vae_init import STEADY, Band, init_vae, mdct
from audiox_core.lab.world import scene
from audiox_core.models.oobleck import Oobleck

RATE = 44_100
NANO = OobleckConfig(channels=8, multipliers=(4, 16, 24), strides=(16, 16, 8))


@pytest.fixture(scope="module")
def vae():
    return new_vae(NANO, seed=0).requires_grad_(False)


def heard(vae, label):
    item = scene(3, label, 10.0)
    sound = item.audio(RATE)[:, : 2048 * 215]
    return item, sound, vae.decode(vae.encode(sound[None]).mean)[0]


@pytest.mark.parametrize("bands", [2, 5, 8, 16])
def test_the_mdct_and_its_inverse_are_lossless(bands, seeded):
    filters = mdct(bands)[:, None]
    sound = torch.randn(1, 1, 40 * bands, generator=seeded)
    split = nn.functional.conv1d(sound, filters, stride=bands)
    joined = nn.functional.conv_transpose1d(split, filters, stride=bands)
    inner = slice(bands, joined.shape[-1] - bands)
    torch.testing.assert_close(joined[..., inner], sound[..., inner], atol=1e-5, rtol=0)


def test_nested_bands_have_the_right_frequency(seeded):
    """A tone lies in the band that says so, also where a transform turned the band round."""
    filters, rate, tone = mdct(8)[:, None], 1.0, 0.3 * 0.5  # of the highest frequency: 0.3
    sound = torch.sin(2 * torch.pi * tone / rate * torch.arange(4096.0))[None, None]
    first = nn.functional.conv1d(sound, filters, stride=8)
    second = nn.functional.conv1d(first[0][:, None], filters, stride=8)  # of each band
    energy = second.square().mean(dim=-1)
    parent, child = divmod(int(energy.argmax()), 8)
    band = Band(side=False, low=0, high=1).split(8)[parent].split(8)[child]
    assert min(band.low, band.high) - 0.01 <= 0.3 <= max(band.low, band.high) + 0.01


@pytest.mark.parametrize("label", ["ball", "beep", "bell"])
def test_a_new_vae_keeps_the_onsets_of_its_input(vae, label):
    item, _, sound = heard(vae, label)
    found = onset_times(sound, RATE)
    assert match(found, [event.time for event in item.events], 0.2).f1 > 0.9


def test_a_new_vae_keeps_the_pitch_of_its_input(vae):
    def bands(sound):
        return band_levels(sound, RATE).amax(dim=1)

    pairs = [heard(vae, label)[1:] for label in ("ball", "bird")]
    (low, low_heard), (high, high_heard) = ([bands(sound) for sound in pair] for pair in pairs)
    rise, rise_heard = high - low, high_heard - low_heard
    assert torch.corrcoef(torch.stack([rise, rise_heard]))[0, 1] > 0.5


@pytest.fixture(scope="module")
def phased():
    return new_vae(replace(NANO, multipliers=(4, 16, 32)), seed=0).requires_grad_(False)


@pytest.mark.parametrize("hertz", [470, 560, 900])
@pytest.mark.parametrize("side", [1, -1], ids=["both sides alike", "left minus right"])
def test_tones_above_the_bands_with_phase_are_heard(phased, hertz, side):
    samples = torch.arange(2048 * 40)
    tone = 0.2 * torch.sin(2 * torch.pi * hertz / RATE * samples)
    sound = torch.stack([tone, side * tone])[None]
    answer = phased.decode(phased.encode(sound).mean)[..., 2048 * 8 : -2048 * 8]
    assert answer.square().mean().sqrt() > 0.05 * tone.square().mean().sqrt()


@pytest.mark.parametrize("hertz", [100, 220, 400])
def test_a_new_vae_with_channels_enough_keeps_the_phase_of_low_tones(phased, hertz):
    samples = torch.arange(2048 * 40)
    tone = 0.2 * torch.sin(2 * torch.pi * hertz / RATE * samples).expand(1, 2, -1)
    answer = phased.decode(phased.encode(tone).mean)
    inner = slice(2048 * 8, -2048 * 8)
    wanted, found = tone[0, 0, inner], answer[0, 0, inner]
    error = (found - wanted).square().mean() / wanted.square().mean()
    assert error < 0.35  # without phase it is 1


@pytest.mark.parametrize("hertz", [9_000, 12_000, 18_000])
def test_noise_of_the_highest_bands_is_heard_where_it_was(phased, hertz, seeded):
    """None of them has a channel of its own in the last transform."""
    noise = torch.fft.rfft(0.3 * torch.randn(2, 2048 * 40, generator=seeded))
    low, high = (round(h * 2048 * 40 / RATE) for h in (hertz - 500, hertz + 500))
    noise[:, :low], noise[:, high:] = 0, 0
    burst = torch.fft.irfft(noise)
    burst[:, : 2048 * 20] = 0
    answer = phased.decode(phased.encode(burst[None]).mean)[0]
    before, after = (
        answer[:, part].square().mean().sqrt()
        for part in (slice(2048 * 18), slice(2048 * 22, 2048 * 38))
    )
    assert after > 0.1 * burst[:, 2048 * 20 :].square().mean().sqrt()
    assert before < 1e-2 * after
    levels = torch.fft.rfft(answer).abs().square().sum(dim=0)
    centre = (levels * torch.arange(len(levels))).sum() / levels.sum()
    assert centre / len(levels) * RATE / 2 == pytest.approx(hertz, rel=0.15)


def test_silence_stays_silent(vae):
    posterior = vae.encode(torch.zeros(1, 2, 2048 * 8))
    assert posterior.scale.mean() == pytest.approx(STEADY, abs=0.5)
    assert vae.decode(posterior.mean).abs().max() < 1e-6


@pytest.mark.parametrize(
    "config",
    [
        OobleckConfig(channels=4, multipliers=(1, 2), strides=(4, 5), latent_channels=8),
        OobleckConfig(channels=2, multipliers=(1, 2, 4, 8, 16), latent_channels=128),
        OobleckConfig(channels=4, multipliers=(2,), strides=(64,), latent_channels=4),
    ],
    ids=["odd", "narrow", "one stage"],
)
def test_a_vae_of_any_size_can_be_initialised(config):
    with torch.random.fork_rng(devices=[]):
        vae = Oobleck(config)
        state = torch.get_rng_state()
        init_vae(vae)
        assert torch.equal(torch.get_rng_state(), state)
    sound = 0.1 * torch.randn(1, 2, 8 * config.hop_length, generator=torch.Generator())
    answer = vae.decode(vae.encode(sound).mean)
    assert answer.isfinite().all()
    assert answer.std() > 1e-3
