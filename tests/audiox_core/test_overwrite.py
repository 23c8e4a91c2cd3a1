"""Existing files are overwritten only by a user who says so."""

import io
import sys

import pytest

from audiox_core.errors import SettingsError
from audiox_core.overwrite import check_overwrite


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def files(tmp_path):
    """Two files, of which the first exists."""
    (tmp_path / "a.wav").touch()
    return [tmp_path / "a.wav", tmp_path / "b.wav"]


@pytest.fixture
def answer(monkeypatch):
    """Sit at a terminal and answer a question; gives what is shown there."""

    def sit(text):
        shown = Terminal()
        monkeypatch.setattr(sys, "stdin", Terminal(text))
        monkeypatch.setattr(sys, "stderr", shown)
        return shown

    return sit


def test_new_files_are_written_without_a_question(files, answer):
    shown = answer("")
    check_overwrite(files[1:], force=False)
    assert shown.getvalue() == ""


def test_force_overwrites_without_a_question(files, answer):
    shown = answer("")
    check_overwrite(files, force=True)
    assert shown.getvalue() == ""


@pytest.mark.parametrize("text", ["y\n", "Yes\n"])
def test_a_user_at_a_terminal_is_asked(files, answer, text):
    shown = answer(text)
    check_overwrite(files, force=False)
    assert shown.getvalue() == f"{files[0]} already exists. Overwrite it? [y/N] "


@pytest.mark.parametrize("text", ["\n", "no\n", ""])
def test_any_other_answer_keeps_the_file(files, answer, text):
    answer(text)
    with pytest.raises(SettingsError, match="was kept: choose another --output"):
        check_overwrite(files, force=False)


def test_without_a_terminal_it_is_an_error(files, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(SettingsError, match="already exists: add --force"):
        check_overwrite(files, force=False)


def test_several_files_are_counted(files, monkeypatch):
    files[1].touch()
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SettingsError, match=r"a\.wav and 1 more already exist"):
        check_overwrite(files, force=False)
