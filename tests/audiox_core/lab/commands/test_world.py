"""`lab world`: rendered training clips as files."""

import json

import av
import pytest

from audiox_core.cli import main
from audiox_core.config import AudioXConfig


def test_the_rendered_clips_have_picture_sound_and_captions(tmp_path, capsys):
    folder = tmp_path / "clips"
    assert main(["lab", "world", "-o", str(folder), "--clips", "2", "--first", "3"]) == 0
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["path"] for record in records] == ["000003.mp4", "000004.mp4"]
    assert all(record["caption"] for record in records)
    for record in records:
        with av.open(str(folder / record["path"])) as container:
            assert sorted(stream.type for stream in container.streams) == ["audio", "video"]
            assert container.duration / av.time_base == pytest.approx(10.0, abs=0.2)
    assert "2 clips in" in capsys.readouterr().out


@pytest.mark.usefixtures("effects")
def test_clips_of_recorded_effects_are_rendered(tmp_path):
    from audiox_core.lab.effects.source import effects_world  # needs Pillow

    folder = tmp_path / "clips"
    arguments = ["--world", "effects", "--clips", "1", "--first", "2"]
    assert main(["lab", "world", "-o", str(folder), *arguments]) == 0
    (line,) = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    record = json.loads(line)
    world = effects_world(AudioXConfig(), seed=0, count=3, music=0.0)
    assert record["caption"] == world.item(2).caption
    with av.open(str(folder / record["path"])) as container:
        assert sorted(stream.type for stream in container.streams) == ["audio", "video"]


@pytest.mark.parametrize("arguments", [["--clips", "0"], ["--seed", "-1"], ["--music", "2"]])
def test_invalid_options_of_world_are_a_one_line_error(arguments, tmp_path, capsys):
    assert main(["lab", "world", "-o", str(tmp_path / "out"), *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
