"""Training with masks and without them, compared: the command at toy size."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from audiox_core.errors import SettingsError
from audiox_core.lab.evaluation.cases import RENDERS, RENDERS_APART
from audiox_core.lab.evaluation.catalogue import EFFECTS, SYNTHETIC
from audiox_core.lab.world.source import WorldData

SETTINGS = Path(__file__).parent / "tiny.toml"


def test_the_compared_runs_differ_only_in_their_masks(claim):
    with_masks, without = (
        claim.settings(SETTINGS, masked=masked, seed=1, steps=7) for masked in (True, False)
    )
    assert with_masks.masks.masked > 0
    assert (without.masks.masked, without.masks.absent) == (0, 0)
    assert without.masks.unconditional == with_masks.masks.unconditional
    assert with_masks.run == without.run
    assert with_masks.run.steps == 7
    assert with_masks.data == without.data


def test_the_settings_name_the_world(claim):
    config = claim.settings(SETTINGS, masked=True, seed=1, steps=7)
    named = {
        source: replace(config, data=replace(config.data, source=source))
        for source in ("world", "effects", "clips.jsonl")
    }
    assert claim.catalogue_for(config) is claim.catalogue_for(named["world"]) is SYNTHETIC
    assert claim.catalogue_for(named["effects"]) is EFFECTS
    with pytest.raises(SettingsError, match="world or effects"):
        claim.catalogue_for(named["clips.jsonl"])
    assert claim.data_source(SYNTHETIC) is WorldData


def test_the_classifier_was_not_trained_on_the_tested_sounds(claim):
    heard = range(10_000, 10_000 + RENDERS + RENDERS_APART)
    assert claim.ASKED not in heard
    assert claim.PROMPTS > claim.ASKED + 1_000 > heard.stop


def test_four_runs_become_a_table_and_are_not_repeated(
    claim, trained_vae, clip_cache, tmp_path, capsys, monkeypatch
):
    arguments = ["--config", SETTINGS, "--vae", trained_vae.outcome.weights, "--cache", clip_cache]
    arguments += ["--encoder-steps", "2", "--steps", "1", "--clips", "1"]
    monkeypatch.setattr(sys, "argv", ["claim", *map(str, [tmp_path, *arguments])])
    claim.main()
    first = capsys.readouterr().out
    kept = sorted(tmp_path.glob("*/figures-*.json"))
    assert [path.parent.name for path in kept] == [
        "masked-0", "masked-1", "unmasked-0", "unmasked-1",
    ]  # fmt: skip
    figures = json.loads(kept[0].read_text())
    assert figures.keys() == {
        "text.accuracy", "video.accuracy", "video.f1", "audio.accuracy", "all.accuracy", "all.f1",
    }  # fmt: skip
    kept[0].write_text(json.dumps(dict.fromkeys(figures, 0.25)))
    kept[1].write_text(json.dumps(dict.fromkeys(figures, 0.75)))
    claim.main()
    again = capsys.readouterr().out
    assert "0.50 +- 0.25" in again
    assert ("step 1/1" in first, "step 1/1" in again) == (True, False)
    assert len(again.splitlines()) == 4 + 1 + len(figures)
