"""What is shown of a run: a bar on a terminal, else a line for each stage."""

import io
import logging
from contextlib import redirect_stderr

import pytest

from audiox_core.progress import Progress
from audiox_core.progress_bar import count_bar, late_count_bar, seconds_left, stage_bar


class Terminal(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _notes_are_logged(caplog):
    caplog.set_level(logging.INFO, logger="audiox_core")


@pytest.fixture
def terminal():
    return Terminal()


RUN = [
    Progress("loading", 0.0, 0.0),
    Progress("sampling", 0.0, 0.25),
    Progress("sampling", 0.5, 0.5),
    Progress("decoding", 0.0, 0.75),
]


def test_elsewhere_each_stage_is_one_line(caplog):
    caplog.set_level(logging.INFO)
    with stage_bar() as show:
        for progress in RUN:
            show(progress)
    assert caplog.messages == ["loading", "sampling", "decoding"]


def test_on_a_terminal_a_bar_names_the_stage_and_disappears(terminal):
    with redirect_stderr(terminal), stage_bar() as show:
        for progress in RUN:
            show(progress)
    drawn = terminal.getvalue()
    for text in ("loading:   0%", "sampling:  25%", "decoding:  75%"):
        assert text in drawn
    assert "100%" not in drawn
    assert drawn.rsplit("\r", 2)[-2].strip() == ""  # erased


def test_a_quiet_program_shows_no_bar(terminal, caplog):
    caplog.set_level(logging.WARNING, logger="audiox_core")
    with redirect_stderr(terminal), stage_bar() as show, count_bar("reading", "B") as bar:
        show(RUN[0])
        bar.update()
    assert terminal.getvalue() == ""


def test_a_verbose_program_shows_lines_on_a_terminal(terminal, caplog):
    caplog.set_level(logging.DEBUG, logger="audiox_core")
    with redirect_stderr(terminal), stage_bar() as show:
        show(RUN[0])
    assert caplog.messages == ["loading"]
    assert "\r" not in terminal.getvalue()


@pytest.mark.parametrize(
    ("share", "shown"), [(0.999, " 99%"), (0.29, " 29%"), (0.296, " 29%"), (1.0, "100%")]
)
def test_a_bar_shows_whole_percents_that_are_done(terminal, share, shown):
    with redirect_stderr(terminal), stage_bar() as show:
        show(Progress("finishing", 0.0, share))
    assert f"finishing: {shown}" in terminal.getvalue()


def test_the_time_left_follows_from_the_speed_of_the_stage():
    assert seconds_left(0.5, 0.25, 10.0) == pytest.approx(20.0)  # a quarter took 10 s
    assert seconds_left(0.25, 0.25, 10.0) is None
    assert seconds_left(1.0, 0.5, 3.0) == 0


def test_nothing_is_printed_before_there_is_progress(terminal):
    with redirect_stderr(terminal), late_count_bar("preparing", "clip"):
        pass
    assert terminal.getvalue() == ""


def test_a_bar_counts_to_its_total(terminal):
    with redirect_stderr(terminal), late_count_bar("preparing", "clip") as show:
        for done in (1, 2, 3, 4):  # one more than expected does no harm
            show(done, 3)
    assert "preparing" in terminal.getvalue()
    assert "3/3 clip" in terminal.getvalue()


def test_a_count_shows_100_percent_only_at_its_total(terminal):
    with redirect_stderr(terminal), count_bar("downloading", "B", 1000, mininterval=0) as bar:
        bar.update(999)
        bar.refresh()
        assert "downloading:  99%" in terminal.getvalue()
        assert "100%" not in terminal.getvalue()
        bar.update(1)
    assert "downloading: 100%" in terminal.getvalue()


def test_elsewhere_a_count_is_one_line(caplog, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger("audiox_core"), "handlers", [])  # of other tests
    caplog.set_level(logging.INFO)
    with count_bar("downloading", "B", unit_scale=True) as bar:
        bar.update(1_000)
    assert caplog.messages == ["downloading"]
    assert capsys.readouterr().err == ""
