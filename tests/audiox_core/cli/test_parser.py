"""Bad usage is one line; inputs may stand anywhere."""

import pytest

from audiox_core.cli import parser as module
from audiox_core.cli.parser import CommandParser, program, versions


@pytest.fixture
def parser():
    made = CommandParser(prog="tool")
    made.add_argument("inputs", nargs="*", type=int)
    made.add_argument("--output", required=True)
    return made


@pytest.mark.parametrize(
    "line", ["1 2 --output a", "--output a 1 2", "1 --output a 2", "--output=a -- 1 2"]
)
def test_inputs_stand_before_and_after_options(parser, line):
    assert parser.parse_args(line.split()).inputs == [1, 2]


def test_without_inputs_the_list_is_empty(parser):
    assert parser.parse_args(["--output", "a"]).inputs == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--otput a", "unrecognized arguments: --otput; did you mean --output? (see tool --help)"),
        ("--output a --zebra", "unrecognized arguments: --zebra (see tool --help)"),
        ("--output a -x", "unrecognized arguments: -x"),
        ("--output a one", "invalid int value: 'one'"),
        ("1", "the following arguments are required: --output"),
    ],
)
def test_bad_usage_names_the_nearest_spelling(parser, capsys, line, says):
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(line.split())
    (shown,) = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert says in shown


def test_a_file_whose_name_begins_with_a_dash_is_explained(parser, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-a.mp4").touch()
    with pytest.raises(SystemExit):
        parser.parse_args(["-a.mp4", "--output", "b"])
    assert "for the file, write ./-a.mp4 (see" in capsys.readouterr().err


def test_a_pattern_that_the_shell_has_expanded_is_explained(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.mp4").touch()
    single = CommandParser(prog="tool")
    single.add_argument("source")
    with pytest.raises(SystemExit):
        single.parse_args(["a.mp4", "b.mp4"])
    assert "put a pattern such as '*.mp4' in quotes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("started", "name"),
    [
        ("/usr/bin/audiox", "audiox"),
        ("audiox.exe", "audiox"),
        ("/x/audiox_core/__main__.py", "python -m audiox_core"),
    ],
)
def test_the_program_has_the_name_that_it_was_started_with(monkeypatch, started, name):
    monkeypatch.setattr(module.sys, "argv", [started])
    assert program() == name


def test_a_missing_library_is_listed_as_missing(monkeypatch):
    monkeypatch.setattr(module, "LIBRARIES", ("no-such-library",))
    assert versions().endswith(", no no-such-library)")
