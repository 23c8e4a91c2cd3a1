import json
from math import pi

import pytest
import torch
from safetensors import safe_open

from audiox_core import load_checkpoint
from audiox_core.checkpoint.part_files import open_vae
from audiox_core.checkpoint.weight_file import open_weights
from audiox_core.errors import SettingsError
from audiox_core.lab.from_scratch.init import new_vae
from audiox_core.lab.from_scratch.vae_stage import (
    Spectrum,
    below,
    mel_losses,
    relative_error,
    unit_latents,
)
from audiox_core.training.distributed import Distributed
from audiox_core.training.run import prepare, run_job

RATE = 16_000
WINDOWS = (256, 64)


def test_the_loss_decreases(trained_vae, losses):
    curve = losses(trained_vae.output)
    assert len(curve) == 50
    assert sum(curve[-10:]) < 0.95 * sum(curve[:10])


def test_windows_that_are_longer_than_the_pieces_are_refused(job, tmp_path):
    with pytest.raises(SettingsError, match=r"vae\.windows is \[65536\]: .* must fit into them"):
        run_job(job("vae", tmp_path, changes={"vae.windows": [65_536]}))
    with pytest.raises(SettingsError, match=r"vae\.windows is \[\]"):
        run_job(job("vae", tmp_path, changes={"vae.windows": []}))


def test_the_file_holds_a_vae_of_the_released_layout(trained_vae, settings):
    file = open_vae(trained_vae.outcome.weights)
    vae, grid = file.load(), file.latent
    assert vae.config == settings().model.vae
    assert (grid.channels, grid.hop_length) == (8, 512)
    assert vae.decode(torch.zeros(1, 8, 4)).shape == (1, 2, 4 * 512)


def test_a_vae_trained_from_a_model_gives_a_complete_model(job, trained_model, tmp_path):
    steps = {"run.steps": 1, "vae.normalize_latents": True}
    run_job(job("vae", tmp_path, changes=steps, init=trained_model.path))
    paths = trained_model.path, tmp_path / "model.safetensors"
    before, after = (load_checkpoint(path, device="cpu") for path in paths)
    assert torch.equal(
        before.backbone.preprocess_conv.weight, after.backbone.preprocess_conv.weight
    )
    first = next(before.vae.parameters())
    assert not torch.allclose(first, next(after.vae.parameters()), rtol=1e-5)
    torch.testing.assert_close(first, next(after.vae.parameters()), atol=5e-3, rtol=0)
    old, new = (json.loads(open_weights(path).header["trained"]) for path in paths)
    assert new.pop("decoder")["steps"] == 1
    assert new == old


def test_a_frozen_encoder_stays_and_the_decoder_is_trained(job, trained_vae, tmp_path):
    before = open_vae(trained_vae.outcome.weights).load()
    changes = {"run.steps": 1, "vae.train_encoder": False}
    made = run_job(job("vae", tmp_path, changes=changes, init=trained_vae.outcome.weights))
    after = open_vae(made.weights).load()
    for name, weights in before.encoder.state_dict().items():
        torch.testing.assert_close(after.encoder.get_parameter(name), weights, rtol=1e-6, atol=0)
    pairs = zip(before.decoder.parameters(), after.decoder.parameters(), strict=True)
    assert any(not torch.allclose(a, b, rtol=1e-5, atol=0) for a, b in pairs)


def test_layers_can_be_frozen(job, tmp_path):
    prefixes = ["encoder.layers.0.", "decoder.layers.1."]
    changes = {"run.steps": 1, "vae.frozen": prefixes}
    stage, _ = prepare(job("vae", tmp_path, changes=changes), Distributed())
    for name, weight in stage.module.vae.named_parameters():
        assert weight.requires_grad != name.startswith(tuple(prefixes))
    audio, unit, error = stage.batch(0, range(4))
    stage.module(audio, unit, error)["loss"].backward()
    assert stage.module.vae.get_parameter("encoder.layers.1.layers.0.layers.0.alpha").grad.any()
    with pytest.raises(SettingsError, match=r"vae\.frozen contains 'coder'"):
        prepare(job("vae", tmp_path / "b", changes={"vae.frozen": ["coder"]}), Distributed())
    with pytest.raises(SettingsError, match="leave nothing to train"):
        prepare(
            job("vae", tmp_path / "c", changes={"vae.frozen": ["encoder", "decoder"]}),
            Distributed(),
        )


def test_a_frozen_encoder_needs_a_vae(job, tmp_path):
    with pytest.raises(SettingsError, match="with --init"):
        run_job(job("vae", tmp_path, changes={"vae.train_encoder": False}))


def test_a_vae_is_not_trained_for_the_latents_of_another(job, trained_vae, tmp_path):
    with pytest.raises(SettingsError, match="with --init"):
        run_job(job("vae", tmp_path, vae=trained_vae.outcome.weights))


def test_unit_latents_leave_the_sound_as_it_was(settings, seeded):
    vae = new_vae(settings().model.vae, seed=0)
    std, audio = torch.linspace(0.1, 0.3, 8), torch.randn(1, 2, 512 * 6, generator=seeded)
    other = new_vae(vae.config, seed=1)
    other.load_state_dict(unit_latents(vae.state_dict(), std))
    mean, scaled = vae.encode(audio).mean, other.encode(audio).mean
    torch.testing.assert_close(scaled, mean / std[:, None])
    torch.testing.assert_close(other.decode(scaled), vae.decode(mean))


def test_latents_of_the_file_have_unit_variance(trained_vae, clip_cache):
    vae = open_vae(trained_vae.outcome.weights).load()
    sounds = []
    for shard in sorted(clip_cache.glob("sounds-*/*.safetensors")):
        with safe_open(shard, framework="pt") as file:
            sounds += [file.get_tensor(name).float() / 32_767 for name in [*file.keys()]]
    with torch.no_grad():
        posteriors = [vae.encode(sound[None]) for sound in sounds]
    energies = torch.cat([(p.mean.square() + p.std.square()).mean(dim=(0, 2)) for p in posteriors])
    assert energies.mean().item() == pytest.approx(1, abs=0.3)


def test_what_is_added_to_latents_lies_within_its_share(job, tmp_path):
    stage, _ = prepare(job("vae", tmp_path, changes={"vae.noise": 0.2}), Distributed())
    shares = [stage.batch(step, range(4))[2].std(dim=(1, 2)) for step in range(25)]
    found = torch.cat(shares)
    assert 0 <= found.min() < 0.05
    assert 0.15 < found.max() < 0.27
    silent, _ = prepare(job("vae", tmp_path, changes={"vae.noise": 0.0}), Distributed())
    assert not silent.batch(0, range(4))[2].any()


def test_noise_on_the_latents_is_part_of_the_loss(job, tmp_path):
    stage, _ = prepare(job("vae", tmp_path, changes={"vae.noise": 0.5}), Distributed())
    audio, unit, error = stage.batch(0, range(4))
    with torch.no_grad():
        noisy, clean = (stage.module(audio, unit, e)["loss"] for e in (error, 0 * error))
    assert noisy > clean


def test_a_sound_is_compared_below_a_frequency(seeded):
    time = torch.arange(RATE) / RATE
    low, high = (torch.sin(2 * pi * hertz * time)[None] for hertz in (300, 3_000))
    torch.testing.assert_close(below(low + high, 1_000.0, RATE), low, atol=1e-3, rtol=0)
    assert below(low, 0.0, RATE) is low


def test_a_perfect_reconstruction_has_no_loss(seeded):
    sound = torch.randn(2, 2, 1024, generator=seeded)
    same, other = (mel_losses(s, sound, RATE, WINDOWS, 1e-4) for s in (sound, 0.5 * sound))
    assert [loss.item() for loss in same] == pytest.approx([0, 0, 0], abs=2e-3)
    assert all(loss > 0.5 for loss in other[:2])


def test_a_sounds_loss_does_not_depend_on_its_neighbours(seeded):
    heard, wanted = torch.randn(2, 4, 2, 1024, generator=seeded)
    whole = mel_losses(heard, wanted, RATE, WINDOWS, 1e-4)
    halves = [mel_losses(heard[i::2], wanted[i::2], RATE, WINDOWS, 1e-4) for i in range(2)]
    torch.testing.assert_close(whole, tuple(sum(pair) / 2 for pair in zip(*halves, strict=True)))


def test_noise_of_the_same_bands_is_closer_than_silence(seeded):
    sound, other = 0.1 * torch.randn(2, 1, 2, 4096, generator=seeded)
    near, far = (
        mel_losses(s, sound, RATE, WINDOWS, 1e-4) for s in (other, torch.zeros_like(sound))
    )
    assert near[0] < 0.5 * far[0]
    assert near[1] < 0.25 * far[1]


def test_the_level_loss_is_lowest_at_the_right_loudness():
    """By each magnitude it is best too soft."""
    time = torch.arange(16_000) / RATE
    trill = 3_600 * time - 6 * torch.cos(2 * pi * 20 * time)
    whistle = (0.3 * torch.sin(2 * pi * trill)).expand(1, 2, -1)
    other = (0.3 * torch.sin(2 * pi * trill.roll(400))).expand(1, 2, -1)  # half a trill late
    gains = 10 ** (torch.arange(-30, 7) / 20)
    losses = torch.tensor(
        [[*mel_losses(gain * other, whistle, RATE, (512, 128), 1e-4)] for gain in gains]
    )
    alone, level, _ = 20 * gains[losses.argmin(dim=0)].log10()
    assert alone < -3
    assert abs(level) < 1


def test_the_flux_loss_tells_a_steady_sound_from_noise_of_its_level(seeded):
    """By each magnitude the steady one is the better guess."""
    wanted, other = 0.1 * torch.randn(2, 1, 2, 16_000, generator=seeded)
    spectrum = torch.fft.rfft(wanted[:, :, :256]).angle()
    comb = torch.fft.irfft(torch.polar(torch.ones_like(spectrum), spectrum)).repeat(1, 1, 63)
    steady = (comb * (wanted.std() / comb.std()))[..., :16_000]
    as_noise, as_comb = (
        mel_losses(heard, wanted, RATE, (512, 128), 1e-4) for heard in (other, steady)
    )
    assert as_comb[0] < as_noise[0]
    assert as_noise[2] < 0.5 * as_comb[2]


def test_a_floor_of_the_levels_leaves_out_faint_regions_only(seeded):
    faint, loud = (gain * torch.randn(1, 2, 4096, generator=seeded) for gain in (1e-3, 0.1))
    (mel, level, _), (same_mel, floored, _) = (
        mel_losses(0.5 * faint, faint, RATE, WINDOWS, 1e-5, level_floor=floor)
        for floor in (0.0, 0.05)
    )
    assert same_mel == mel
    assert floored < 0.7 * level
    heard, still_heard = (
        mel_losses(0.5 * loud, loud, RATE, WINDOWS, 1e-5, level_floor=floor)[1]
        for floor in (0.0, 1e-3)
    )
    assert still_heard > 0.9 * heard


def test_faint_noise_instead_of_silence_has_a_small_loss(seeded):
    breath = 1e-3 * torch.randn(1, 2, 4096, generator=seeded)
    silence = torch.zeros_like(breath)
    loud = 0.1 * torch.randn(1, 2, 4096, generator=seeded)
    breathed = mel_losses(breath, silence, RATE, WINDOWS, 1e-4)
    missed = mel_losses(silence, loud, RATE, WINDOWS, 1e-4)
    assert all(a < b for a, b in zip(breathed, missed, strict=True))


@pytest.mark.parametrize("loud", [1.0, 0.1])
def test_a_quiet_sound_that_is_missed_counts_as_much_as_a_loud_one(loud, seeded):
    sound = loud * torch.randn(1, 2, 512, generator=seeded)
    missed = relative_error(torch.zeros_like(sound), sound, dims=(1, 2), quiet=1e-2)
    assert missed.item() == pytest.approx(1, abs=0.02)


def test_the_gradient_at_silence_is_finite():
    heard = torch.zeros(1, 2, 512, requires_grad=True)
    sum(mel_losses(heard, torch.zeros(1, 2, 512), RATE, WINDOWS, 1e-4)).backward()
    assert heard.grad.isfinite().all()


@pytest.mark.parametrize("length", [8, 9])
def test_the_gradient_of_the_spectrum_matches_finite_differences(length, seeded):
    frames = torch.randn(2, length, generator=seeded, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Spectrum.apply, (frames,))


def test_a_vae_file_can_be_trained_further(trained_vae, job, tmp_path):
    given = tmp_path / "mine.safetensors"
    given.write_bytes(trained_vae.outcome.weights.read_bytes())
    output = tmp_path / "output"
    made = run_job(job("vae", output, changes={"run.steps": 1}, init=given))
    assert not (output / "model.safetensors").exists()
    with pytest.raises(SettingsError, match="another --output"):
        run_job(job("vae", output, init=made.weights))
    assert open_vae(made.weights).sizes.latent_channels == 8
