"""The options of `demo`."""

import pytest

from audiox_core.cli import main
from audiox_core.lab.labels import EVENT_LABELS


def test_the_help_text_lists_every_clip_that_can_be_rendered(capsys):
    with pytest.raises(SystemExit):
        main(["demo", "--help"])
    help_text = " ".join(capsys.readouterr().out.split())
    assert ", ".join(EVENT_LABELS) in help_text


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
def test_a_seed_out_of_range_is_a_one_line_error(seed, tmp_path, capsys):
    assert main(["demo", "--seed", seed, "--output", str(tmp_path / "made")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "made").exists()
