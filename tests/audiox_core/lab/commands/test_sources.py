"""`lab sources`: the recordings behind the sounds of the embedded model."""

from pathlib import Path

import pytest

import audiox_core
from audiox_core.cli import main
from audiox_core.lab.effects import recordings
from audiox_core.lab.effects.labels import LABELS

CARD = Path(audiox_core.__file__).parent / "assets" / "README.md"


@pytest.mark.usefixtures("effects")
def test_the_table_has_a_row_for_each_kind_and_is_that_of_the_model_card(capsys):
    assert main(["lab", "sources"]) == 0
    table = capsys.readouterr().out.strip()
    assert [row.split(" | ")[0] for row in table.splitlines()[2:]] == [f"| {n}" for n in LABELS]
    assert table in CARD.read_text(encoding="utf-8")


def test_missing_packages_are_named_with_the_command_that_installs_them(
    tmp_path, monkeypatch, capsys
):
    recordings._font.cache_clear()
    monkeypatch.setattr(recordings, "FONT", tmp_path / "font.sf2")
    assert main(["lab", "sources"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "font.sf2 is missing" in line
    assert recordings.INSTALL in line
