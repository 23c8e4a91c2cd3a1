"""`lab examples`: the example clips rendered again."""

import av
import pytest

from audiox_core.cli import main
from audiox_core.lab import examples
from audiox_core.media.examples import Clip


@pytest.mark.usefixtures("effects")
def test_the_command_writes_a_clip_with_picture_and_sound(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(examples, "CLIPS", {"ball": Clip(picture=0.0)})
    monkeypatch.setattr(examples, "PIXELS", 32)
    assert main(["lab", "examples", "-o", str(tmp_path / "clips")]) == 0
    assert "ball.mp4" in capsys.readouterr().out
    with av.open(str(tmp_path / "clips" / "ball.mp4")) as container:
        assert sorted(stream.type for stream in container.streams) == ["audio", "video"]
        assert container.duration / av.time_base == pytest.approx(10.0, abs=0.1)
