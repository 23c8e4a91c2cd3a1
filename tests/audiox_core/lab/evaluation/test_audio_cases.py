"""Cases that compare sounds: the VAE alone, and repaired seconds."""

import json
from statistics import fmean

import pytest

from audiox_core.cli import main
from audiox_core.lab.evaluation import cases


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


def test_the_kept_part_of_a_repaired_sound_is_measured(capsys):
    assert main(["lab", "evaluate", "--only", "repair", "--share", "0.01", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    distance = "audio.repair_log_spectral_distance"
    assert figures["audio.repair_known_part_equal"] is True
    assert figures[f"{distance}_of_vae"] < figures[distance] < figures[f"{distance}_shuffled"]
