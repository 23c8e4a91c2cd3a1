"""The command, and what it asks of a model."""

import json
from statistics import fmean
from xml.etree import ElementTree

import pytest
import torch

from audiox_core.cli import main
from audiox_core.lab.evaluation import cases
from audiox_core.lab.evaluation.clips import (
    SECONDS,
    even_times,
    held_out_scene,
    uneven_times,
    write_scene,
)
from audiox_core.lab.evaluation.report import picture, table
from audiox_core.lab.evaluation.untrained import untrained
from audiox_core.media.video import FrameGrid, probe_video, read_grids


@pytest.mark.parametrize("times", [even_times(16), even_times(30), uneven_times(3)], ids=len)
def test_a_written_scene_has_its_frames_at_their_times(tmp_path, times):
    scene = held_out_scene(7, "beep")
    path = write_scene(tmp_path / "scene.mp4", scene, times)
    assert probe_video(path).seconds == pytest.approx(SECONDS, abs=0.07)
    (seen,) = read_grids(path, [FrameGrid(50, 5.0, 32)])
    expected = scene.frames([k / 5 for k in range(50)], 32)
    difference = (seen.float() - expected.float()).abs().mean(dim=(1, 2, 3))
    changes = (expected[1:].float() - expected[:-1].float()).abs().mean(dim=(1, 2, 3))
    assert difference.median() < 0.2 * changes.max()


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


def test_onsets_are_drawn(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "RATES", (16,))
    arguments = ["lab", "evaluate", "--only", "video", "--share", "0.01", "--json"]
    assert main([*arguments, "--plot", str(tmp_path / "e.svg")]) == 0
    figures = json.loads(capsys.readouterr().out)
    baselines = [figures[f"video.f1_at{kind}"] for kind in ("", "_shuffled", "_untrained")]
    assert [list(names) for names in baselines] == [["16", "variable"]] * 3
    ElementTree.parse(tmp_path / "e.svg")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--share", "0"],
        ["--share", "2"],
        ["--only", "taste"],
        ["--plot", "figures.png"],
        ["--plot", "no/folder/e.svg"],
        ["--only", "vae", "--plot", "e.svg"],
    ],
    ids=" ".join,
)
def test_an_invalid_evaluation_is_a_one_line_error(arguments, capsys):
    assert main(["lab", "evaluate", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)


def test_the_untrained_baseline_has_other_weights_but_the_same_vae(checkpoint):
    other = untrained(checkpoint)
    x, t = torch.ones(1, 64, 8), torch.ones(1)
    assert not torch.allclose(other.backbone(x, t), checkpoint.backbone(x, t))
    assert other.vae is checkpoint.vae
    tokens = [c.conditioners.text.encode(["rain"]) for c in (other, checkpoint)]
    assert not torch.allclose(*tokens)


def test_figures_are_drawn_and_tabled():
    curve = [{"text": t, "as_said": t, "as_seen": 1 - t} for t in (0.0, 0.5, 1.0)]
    figures = {"video.f1": 0.7, "conflict.curve": curve, "video.offsets": {"-50 ms": 2, "0 ms": 5}}
    figures["conflict.curve_untrained"] = curve
    drawing = ElementTree.fromstring(picture(figures))
    kinds = [element.tag.rpartition("}")[2] for element in drawing.iter()]
    assert (kinds.count("polyline"), kinds.count("rect")) == (4, 3)
    assert "0.700" in table(figures)
