"""The case of the VAE alone: sounds through it and back. Axes: `c n` and `2 n` audio."""

from collections.abc import Sequence
from statistics import fmean, median

import torch
from torch import Tensor

from ...diffusion.noise import stream, unit_noise
from ...models.oobleck import Oobleck
from . import fidelity
from .catalogue import SYNTHETIC, Catalogue
from .classifier import Classifier
from .clips import SECONDS, held_out_phrase, held_out_scene
from .figures import Figures, class_figures, with_baselines
from .models_under_test import ModelsUnderTest
from .untrained import untrained_vae

# of the effects: a distance of fine spectra says little about noise, and an onset needs an attack
TONAL = ("bird", "bell", "chime", "anvil", "telephone", "engine", "siren")
PERCUSSIVE = ("footsteps", "ball", "clock", "drip", "bell", "anvil", "drum")
BEFORE, AFTER = 0.25, 0.5  # s around an event that are looked at


def vae_case(models: ModelsUnderTest, classifier: Classifier) -> Figures:
    """A sound through the VAE and back: how close is it, and does its class stay the same?"""
    numbers, vae = range(4_000, 4_000 + models.sizes.vae), models.trained.checkpoint.vae
    scenes = [held_out_scene(number, None, models.catalogue) for number in numbers]
    whole = [in_latents(item.audio(models.rate), vae) for item in scenes]
    predictions, baseline = _both(models, whole)
    labels = [item.label for item in scenes]
    named, misnamed = (
        [classifier.label(s, models.rate) for s in sounds] for sounds in (predictions, baseline)
    )
    figures = class_figures("vae", named, misnamed, labels)
    if models.catalogue is SYNTHETIC:
        for kind, found, targets in with_baselines(predictions, baseline, whole):
            figures |= nearness(f"vae.{{}}{kind}", found, targets, models.rate)
        return figures
    tonal = [number for number, label in enumerate(labels) if label in TONAL]
    for kind, found, targets in with_baselines(predictions, baseline, whole):
        pairs = list(zip(found, targets, strict=True))
        figures[f"vae.si_sdr{kind}"] = fmean(fidelity.si_sdr(h, w) for h, w in pairs)
        figures[f"vae.log_mel_distance{kind}"] = _log_mel(found, targets, models.rate)
    if tonal:
        for kind, found, targets in with_baselines(
            *([sounds[n] for n in tonal] for sounds in (predictions, baseline, whole))
        ):
            figures[f"vae.log_spectral_distance_of_tonal{kind}"] = fmean(
                fidelity.log_spectral_distance(h, w, models.rate)
                for h, w in zip(found, targets, strict=True)
            )
    return figures | _music(models) | _onset_shift(models)


def _music(models: ModelsUnderTest) -> Figures:
    """Distances of phrases of music."""
    vae = models.trained.checkpoint.vae
    phrases = [
        held_out_phrase(4_000 + number, SECONDS, models.catalogue)
        for number in range(models.sizes.music)
    ]
    whole = [in_latents(item.audio(models.rate), vae) for item in phrases]
    return {
        f"vae.log_mel_distance_of_music{kind}": _log_mel(found, targets, models.rate)
        for kind, found, targets in with_baselines(*_both(models, whole), whole)
    }


def _onset_shift(models: ModelsUnderTest) -> Figures:
    """By how much the VAE moves the onset of a single short sound: the median, in ms."""
    vae = models.trained.checkpoint.vae
    crops = [
        in_latents(first_event(number, models.catalogue, models.rate), vae)
        for number in range(models.sizes.onsets)
    ]
    before = [fidelity.fine_onset(crop, models.rate) for crop in crops]
    figures: Figures = {"vae.onsets": len(crops)}
    for kind, sounds in zip(("", "_untrained"), _both(models, crops), strict=True):
        after = [fidelity.fine_onset(sound, models.rate) for sound in sounds]
        figures[f"vae.onset_shift_ms{kind}"] = 1_000 * median(
            abs(a - b) for a, b in zip(after, before, strict=True)
        )
    return figures


def first_event(number: int, catalogue: Catalogue, sample_rate: int) -> Tensor:
    """The sound around the first event of a scene of a percussive class, `2 n`."""
    item = held_out_scene(5_000 + number, PERCUSSIVE[number % len(PERCUSSIVE)], catalogue)
    time = item.events[0].time
    begin, end = (round(at * sample_rate) for at in (time - BEFORE, time + AFTER))
    return item.audio(sample_rate)[:, begin:end]


def _both(models: ModelsUnderTest, sounds: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Sounds through the VAE, and through the one that its training begins from."""
    vae, fresh = models.trained.checkpoint.vae, untrained_vae(models.trained.checkpoint)
    predictions, baseline = [], []
    for number, sound in enumerate(sounds):
        predictions.append(reconstruct(vae, sound, number, models.device))
        baseline.append(reconstruct(fresh, sound, number, models.device))
        models.on_clip()
    return predictions, baseline


def _log_mel(predictions: Sequence[Tensor], targets: Sequence[Tensor], rate: int) -> float:
    pairs = zip(predictions, targets, strict=True)
    return fmean(fidelity.log_mel_distance(h, w, rate) for h, w in pairs)


def nearness(
    name: str, predictions: Sequence[Tensor], targets: Sequence[Tensor], rate: int
) -> dict[str, float]:
    """Means over pairs of sounds; the name of each figure replaces `{}`."""
    pairs = list(zip(predictions, targets, strict=True))
    distances = [fidelity.log_spectral_distance(h, w, rate) for h, w in pairs]
    return {
        name.format("si_sdr"): fmean(fidelity.si_sdr(h, w) for h, w in pairs),
        name.format("log_spectral_distance"): fmean(distances),
    }


def in_latents(sound: Tensor, vae: Oobleck) -> Tensor:
    """A sound `2 n`, cut to whole latent frames."""
    return sound[:, : sound.shape[-1] // vae.config.hop_length * vae.config.hop_length]


@torch.no_grad()
def reconstruct(vae: Oobleck, sound: Tensor, number: int, device: torch.device) -> Tensor:
    """A sound `2 n` through the VAE and back; `number` seeds the noise of its latents."""
    posterior = vae.encode(sound[None].to(device))
    noise = unit_noise(posterior.mean.shape, stream(number, "vae")).to(device)
    return vae.decode(posterior.sample(noise))[0].cpu()
