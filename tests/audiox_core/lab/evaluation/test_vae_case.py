"""The VAE alone: distances, classes, and onsets."""

import json
from statistics import fmean
from types import SimpleNamespace

import pytest
import torch

from audiox_core.cli import main
from audiox_core.lab.evaluation import cases, vae_case
from audiox_core.lab.evaluation.catalogue import EFFECTS, SYNTHETIC
from audiox_core.lab.evaluation.fidelity import fine_onset
from audiox_core.lab.evaluation.models_under_test import ModelsUnderTest, Sizes

RATE = 22_050


def test_the_vae_alone_can_be_measured(capsys, monkeypatch):
    monkeypatch.setattr(cases, "RENDERS", 4)
    monkeypatch.setattr(cases, "RENDERS_APART", 1)
    assert main(["lab", "evaluate", "--only", "vae", "--share", "0.125", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    distance = "vae.log_spectral_distance"
    assert 0 < figures[distance] < figures[f"{distance}_untrained"]
    assert figures[distance] < figures[f"{distance}_shuffled"]
    assert figures["vae.accuracy"] == pytest.approx(fmean(figures["vae.by_class"].values()))
    missed = round((1 - figures["vae.accuracy"]) * len(figures["vae.by_class"]))
    assert sum(figures["vae.mistaken"].values()) == missed


@pytest.mark.usefixtures("effects", "music")
def test_sounds_of_effects_have_distances_of_their_own(pipeline, monkeypatch):
    monkeypatch.setattr(vae_case, "SECONDS", 2.0)  # of the phrases
    sizes = Sizes(vae=2, music=2, onsets=2)
    models = ModelsUnderTest(pipeline, pipeline, sizes, catalogue=EFFECTS)
    figures = vae_case.vae_case(models, SimpleNamespace(label=lambda _sound, _rate: "siren"))
    assert figures["vae.accuracy"] == 0.5  # a helicopter and a siren
    for name in ("log_mel_distance", "log_mel_distance_of_music", "onset_shift_ms"):
        assert figures[f"vae.{name}"] >= 0
        assert f"vae.{name}_untrained" in figures
    assert figures["vae.log_mel_distance"] < figures["vae.log_mel_distance_untrained"]
    assert figures["vae.log_spectral_distance_of_tonal"] > 0  # of the siren
    assert figures["vae.onsets"] == 2
    assert "vae.log_spectral_distance" not in figures


@pytest.mark.parametrize("number", range(4))
def test_a_single_event_is_cut_out_around_its_onset(number, monkeypatch):
    monkeypatch.setattr(vae_case, "PERCUSSIVE", ("ball", "clock", "drip", "anvil"))
    crop = vae_case.first_event(number, SYNTHETIC, RATE)
    assert crop.shape == (2, pytest.approx((vae_case.BEFORE + vae_case.AFTER) * RATE, abs=1))
    assert fine_onset(crop, RATE) == pytest.approx(vae_case.BEFORE, abs=0.015)


def test_a_sound_is_cut_to_whole_latent_frames():
    vae = SimpleNamespace(config=SimpleNamespace(hop_length=512))
    assert vae_case.in_latents(torch.zeros(2, 1_100), vae).shape == (2, 1_024)
