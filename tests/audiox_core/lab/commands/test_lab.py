"""`lab` lists its tools, and needs one of them."""

import pytest

from audiox_core.cli import main


def test_the_help_of_lab_lists_its_tools(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["lab", "--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    tools = ("bench", "evaluate", "examples", "sources", "world")
    assert all(f"\n    {tool} " in out for tool in tools)


def test_an_unknown_tool_is_a_one_line_error(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["lab", "listen"])
    (line,) = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert "listen" in line
