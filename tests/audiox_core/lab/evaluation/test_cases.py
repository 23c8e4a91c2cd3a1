"""The command, and what it asks of a model."""

import json
from xml.etree import ElementTree

from audiox_core.cli import main
from audiox_core.lab.evaluation import cases


def test_onsets_are_drawn(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "RATES", (16,))
    arguments = ["lab", "evaluate", "--only", "video", "--share", "0.01", "--json"]
    assert main([*arguments, "--plot", str(tmp_path / "e.svg")]) == 0
    figures = json.loads(capsys.readouterr().out)
    baselines = [figures[f"video.f1_at{kind}"] for kind in ("", "_shuffled", "_untrained")]
    assert [list(names) for names in baselines] == [["16", "variable"]] * 3
    ElementTree.parse(tmp_path / "e.svg")
