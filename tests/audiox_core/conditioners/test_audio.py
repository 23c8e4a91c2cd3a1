import pytest
import torch

from audiox_core.conditioners.audio import encode_waveform


@pytest.fixture
def encode(checkpoint):
    def run(waveform, **options):
        with torch.no_grad():
            return encode_waveform(
                checkpoint.conditioners.audio,
                checkpoint.vae,
                waveform,
                samples=441_000,
                sample_rate=44_100,
                **options,
            )

    return run


@pytest.fixture
def waveform(seeded):
    return 0.3 * torch.randn(2, 441_000, generator=seeded)


@pytest.mark.parametrize("samples", [100, 44_100, 441_000, 600_000])
def test_any_length_is_215_tokens(encode, seeded, samples):
    assert encode(torch.randn(2, samples, generator=seeded)).shape == (1, 215, 64)


def test_silence_and_a_wholly_hidden_prompt_are_absent(encode, waveform, checkpoint):
    learned = checkpoint.conditioners.audio.empty_audio_feat
    assert torch.equal(encode(torch.zeros_like(waveform)), learned)
    assert torch.equal(encode(waveform, hide=((0, 10),)), learned)


def test_a_hidden_second_is_not_heard(encode, waveform):
    other = waveform.clone()
    other[:, 44_100 : 2 * 44_100] *= -1
    assert not torch.equal(encode(waveform), encode(other))
    assert torch.equal(encode(waveform, hide=((1, 2),)), encode(other, hide=((1, 2),)))


def test_mono_is_doubled_and_further_channels_are_left_out(encode, waveform):
    mono, many = waveform[:1], torch.cat([waveform, waveform])
    assert torch.equal(encode(mono), encode(mono.expand(2, -1)))
    assert torch.equal(encode(many), encode(waveform))


def test_a_short_prompt_stands_at_the_start_or_at_the_end(encode, waveform):
    short = waveform[:, : 441_000 // 2]
    silence = torch.zeros(2, 441_000 - short.shape[-1])
    assert torch.equal(encode(short), encode(torch.cat([short, silence], -1)))
    assert torch.equal(encode(short, align="end"), encode(torch.cat([silence, short], -1)))


def test_noise_draws_around_the_mean(encode, waveform, seeded):
    noise = torch.randn(1, 64, 215, generator=seeded)
    mean, above, below = (
        encode(waveform),
        encode(waveform, noise=noise),
        encode(waveform, noise=-noise),
    )
    assert not torch.equal(above, mean)
    torch.testing.assert_close((above + below) / 2, mean, atol=1e-3, rtol=0)
