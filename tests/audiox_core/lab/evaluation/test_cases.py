"""The command, and what it asks of a model."""

import json
from types import SimpleNamespace
from xml.etree import ElementTree

from audiox_core.cli import main
from audiox_core.lab.evaluation import cases
from audiox_core.lab.evaluation.catalogue import EFFECTS, SYNTHETIC


def test_onsets_are_drawn(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "RATES", (16,))
    arguments = ["lab", "evaluate", "--only", "video", "--share", "0.01", "--json"]
    assert main([*arguments, "--plot", str(tmp_path / "e.svg")]) == 0
    figures = json.loads(capsys.readouterr().out)
    baselines = [figures[f"video.f1_at{kind}"] for kind in ("", "_shuffled", "_untrained")]
    assert [list(names) for names in baselines] == [["16", "variable"]] * 3
    ElementTree.parse(tmp_path / "e.svg")


def test_the_text_of_effects_is_held_against_the_vae(monkeypatch):
    by_class = {"dog": 0.9, "rain": 0.5}
    monkeypatch.setattr(cases, "learn_classes", lambda _rate, _catalogue: (None, 1.0))
    monkeypatch.setattr(cases, "vae_case", lambda *_: {"vae.accuracy": 0.8})
    monkeypatch.setattr(
        cases, "text_case", lambda *_: {"text.accuracy": 0.6, "text.by_class": by_class}
    )
    kinds = {"": EFFECTS, "text": EFFECTS, "vae": SYNTHETIC}
    for case in ("video", "conflict", "music", "repair", "timeline"):
        monkeypatch.setattr(cases, f"{case}_case", lambda *_: {})
    monkeypatch.setattr(cases, "_order_case", lambda *_: {})
    found = {
        only: dict(cases.run(SimpleNamespace(rate=8_000, catalogue=catalogue), only))
        for only, catalogue in kinds.items()
    }
    assert [*found[""]][-1] == "order"
    assert found[""]["text"]["text.lowest_class"] == 0.5
    assert abs(found[""]["text"]["text.share_of_vae"] - 0.75) < 1e-9
    assert "text.share_of_vae" not in found["text"]["text"]
    assert found["vae"] == {"vae": {"vae.accuracy": 0.8}}
    synthetic = dict(cases.run(SimpleNamespace(rate=8_000, catalogue=SYNTHETIC), ""))
    assert "order" not in synthetic
    assert "text.lowest_class" not in synthetic["text"]
