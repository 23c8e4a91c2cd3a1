"""The options of `demo`."""

import pytest

from audiox_core.cli import main
from audiox_core.media.examples import VIDEOS


def test_the_help_text_lists_every_clip(capsys):
    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    help_text = " ".join(capsys.readouterr().out.split())
    assert f"{{{','.join(VIDEOS)}}}" in help_text


def test_an_unknown_clip_is_a_one_line_error(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--clip", "music"])
    (line,) = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert "music" in line


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
def test_a_seed_out_of_range_is_a_one_line_error(seed, tmp_path, capsys):
    assert main(["demo", "--seed", seed, "--output", str(tmp_path / "made")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "made").exists()
