"""Audio prompts of the three kinds, with a VAE that averages: a prompt's tokens are then known."""

from dataclasses import replace
from math import log
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d

from audiox_core.conditioners.audio import (
    HIDDEN_MEL,
    AudioConditioner,
    MelAudioConditioner,
    ProjectedAudioConditioner,
    audio_conditioner,
    encode_waveform,
)
from audiox_core.conditioners.mel import mel_filters
from audiox_core.config import AudioXConfig, LatentConfig, MelConfig
from audiox_core.models.oobleck import REACH

HOP, LATENTS, RATE = 4, 5, 10  # samples a frame, frames and Hz: a prompt lasts two seconds
SAMPLES = HOP * LATENTS
LATENT_FORMAT = LatentConfig(sample_rate=RATE, hop_length=HOP, conditioned_seconds=2.0)


class AveragingVAE(nn.Module):
    """A latent is the mean of its samples and of a constant, smoothed over five frames."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(hop_length=HOP)
        self.device = nn.Parameter(torch.zeros(1))

    def encode(self, audio: Tensor) -> SimpleNamespace:
        assert audio.shape[:2] == (1, 2), "items are encoded one by one, in stereo"
        mean = avg_pool1d(avg_pool1d(audio, HOP) + 1, 5, 1, 2)  # zeros outside: its ends differ
        return SimpleNamespace(mean=mean, std=torch.full_like(mean, 0.5))


@pytest.fixture
def vae():
    return AveragingVAE()


@pytest.fixture
def filled(seeded):
    """Build a module and fill it from the test's own generator."""

    def fill(build):
        with torch.device("meta"):
            module = build()
        state = {k: torch.randn(v.shape, generator=seeded) for k, v in module.state_dict().items()}
        module.load_state_dict(state, assign=True)
        return module.requires_grad_(False)

    return fill


@pytest.fixture
def conditioner(filled):
    return filled(lambda: AudioConditioner(2, LATENTS, 3))


@pytest.fixture
def encode(conditioner, vae):
    def run(waveform, **options):
        return encode_waveform(conditioner, vae, waveform, LATENT_FORMAT, **options)

    return run


@pytest.fixture
def waveform(seeded):
    return torch.randn(2, SAMPLES, generator=seeded)


def test_a_token_is_the_projection_of_a_latent(encode, conditioner, vae, waveform):
    latent = vae.encode(waveform[None]).mean
    weight, bias = conditioner.proj_out.weight, conditioner.proj_out.bias
    torch.testing.assert_close(encode(waveform), latent.transpose(1, 2) @ weight.T + bias)


@pytest.mark.parametrize("samples", [1, 7, SAMPLES, SAMPLES + 9])
def test_a_prompt_of_any_length_has_all_tokens(encode, seeded, samples):
    waveform = torch.randn(2, samples, generator=seeded)
    padded = torch.zeros(2, SAMPLES)
    padded[:, :samples] = waveform[:, :SAMPLES]
    assert torch.equal(encode(waveform), encode(padded))


def test_silence_and_a_fully_hidden_prompt_are_absent(encode, waveform, conditioner):
    learned = conditioner.empty_audio_feat
    assert torch.equal(conditioner.absent(), learned)
    assert torch.equal(encode(torch.zeros_like(waveform)), learned)
    assert torch.equal(encode(waveform, hide=((0, 2),)), learned)
    assert torch.equal(encode(waveform, hide=((0, 99),)), learned)


def test_a_hidden_part_is_silence(encode, waveform):
    silenced = waveform.clone()
    silenced[:, 5:15] = 0
    assert not torch.equal(encode(waveform), encode(silenced))
    assert torch.equal(encode(waveform, hide=((0.5, 1.5),)), encode(silenced))


def test_mono_is_doubled_and_further_channels_are_left_out(encode, waveform):
    mono, many = waveform[:1], torch.cat([waveform, waveform + 1])
    assert torch.equal(encode(mono), encode(mono.expand(2, -1)))
    assert torch.equal(encode(many), encode(waveform))


def test_silence_follows_a_short_prompt(encode, waveform):
    short, silence = waveform[:, :8], torch.zeros(2, SAMPLES - 8)
    assert torch.equal(encode(short), encode(torch.cat([short, silence], -1)))


def test_noise_draws_around_the_mean_with_the_deviation_of_the_vae(
    encode, conditioner, waveform, seeded
):
    noise = torch.randn(1, 2, LATENTS, generator=seeded)
    moved = encode(waveform, noise=noise) - encode(waveform)
    expected = 0.5 * noise.transpose(1, 2) @ conditioner.proj_out.weight.T
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=1e-5)


def test_clips_of_a_batch_are_encoded_by_themselves(conditioner, vae, seeded):
    audio = torch.randn(3, 2, SAMPLES, generator=seeded)
    audio[1] = 0
    tokens = conditioner(audio, vae)
    assert torch.equal(tokens[1:2], conditioner.empty_audio_feat)
    for item in (0, 2):
        alone = conditioner(audio[item : item + 1], vae)
        torch.testing.assert_close(tokens[item : item + 1], alone)


def test_a_copy_of_the_vae_comes_before_the_one_handed_in(conditioner, waveform):
    class Twice(AveragingVAE):
        def encode(self, audio):
            return super().encode(2 * audio)

    own = conditioner(2 * waveform[None], AveragingVAE())
    conditioner.vae = Twice()
    torch.testing.assert_close(conditioner(waveform[None], AveragingVAE()), own)


@pytest.fixture
def projected(filled):
    return filled(lambda: ProjectedAudioConditioner(2, LATENTS, 3, 4))


def test_latents_are_mixed_into_fewer_tokens(projected, vae, waveform):
    latent = vae.encode(waveform[None]).mean[0]
    mixing, channels = projected.proj_features_128, projected.proj_out
    mixed = latent @ mixing.weight.T + mixing.bias
    expected = mixed.T @ channels.weight.T + channels.bias
    torch.testing.assert_close(projected(waveform[None], vae)[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("latents", [LATENTS, 2 * (2 * REACH + 4) + 1, 60])
def test_an_absent_audio_prompt_is_the_latent_of_silence(filled, vae, latents):
    """Also where its middle is repeated, because it is longer than the ends of the VAE reach."""
    projected = filled(lambda: ProjectedAudioConditioner(2, latents, 3, 4))
    silence = vae.encode(torch.zeros(1, 2, HOP * latents)).mean
    torch.testing.assert_close(projected.absent(lambda: vae), projected.project(silence))


MEL = MelConfig(sample_rate=8_000, fft=64, hop=16, filters=6)


@pytest.fixture
def spectral(filled):
    return filled(lambda: MelAudioConditioner(MEL, 3, tokens=9))


def test_the_log_mel_of_a_tone_by_hand(spectral):
    """A tone of bin 8 gives fft / 4 of its amplitude there and half of it in both neighbours."""
    time = torch.arange(256) / MEL.sample_rate
    tone = 0.5 * torch.sin(2 * torch.pi * 1_000 * time)
    audio = torch.stack([2 * tone, torch.zeros_like(tone)])[None]  # the mean of its channels
    log_mel = spectral.log_mel(audio)
    assert log_mel.shape == (1, 6, 256 // 16 + 1)
    magnitudes = torch.zeros(33)
    magnitudes[7:10] = 0.5 * 16 * torch.tensor([0.5, 1.0, 0.5])
    expected = (magnitudes @ mel_filters(MEL)).clamp(1e-5).log()
    torch.testing.assert_close(log_mel[0, :, 8].exp(), expected.exp(), atol=1e-3, rtol=0)


def test_the_log_mel_of_silence_has_a_floor(spectral):
    assert spectral.log_mel(torch.zeros(1, 2, 128)).unique().item() == pytest.approx(log(1e-5))


def test_columns_become_tokens_and_hidden_ones_a_log_mel_of_zero(spectral, seeded):
    audio = torch.randn(1, 2, 128, generator=seeded)
    log_mel = spectral.log_mel(audio)  # 9 columns
    log_mel[..., 2:5] = HIDDEN_MEL
    columns, layer = log_mel.transpose(1, 2), spectral.proj_features
    expected = columns @ layer.weight.T + layer.bias
    # 0.2 and 0.5 of 9 columns are 1.8 and 4.5, rounded to even
    hidden = spectral(audio, hide=((0.2, 0.51),))
    torch.testing.assert_close(hidden, expected, atol=1e-5, rtol=1e-5)


def test_an_absent_audio_prompt_is_a_log_mel_of_zeros(spectral):
    assert torch.equal(spectral.absent(), spectral.proj_features.bias.expand(1, 9, 3))


def test_the_kind_follows_the_config():
    config = AudioXConfig()
    with torch.device("meta"):
        assert isinstance(audio_conditioner(config), AudioConditioner)
        mixed = audio_conditioner(replace(config, audio_latents=50))
        mel = audio_conditioner(replace(config, mel=MEL))
    assert mixed.proj_features_128.weight.shape == (config.audio_tokens, 50)
    assert (type(mel), mel.tokens) == (MelAudioConditioner, config.audio_tokens)
    assert mel.proj_features.weight.shape == (config.dit.cond_dim, MEL.filters)
