"""Comparing two commits: ratios, verdicts, and what cannot be compared."""

import json
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from audiox_core.errors import SettingsError
from audiox_core.lab.bench import against
from audiox_core.lab.bench.against import Comparison, Measured

BEFORE = Measured(1.0, 100 << 20)


@pytest.mark.parametrize(
    ("after", "says"),
    [
        (Measured(1.02, 100 << 20), "ok"),
        (Measured(1.04, 100 << 20), "slower than the limit of 1.03"),
        (Measured(0.5, 120 << 20), "more memory than the limit of 1.03"),
    ],
)
def test_a_comparison_is_a_line_with_its_verdict(after, says):
    row = Comparison("decode: whole", BEFORE, after).row(1.03)
    assert row.split()[:2] == [f"{after.seconds:.3f}", "x"]
    assert f"{after.peak / BEFORE.peak:.3f} x memory" in row
    assert row.endswith(f"decode: whole: {says}")


def test_a_long_sound_may_take_no_more_than_its_multiple_of_a_short_one():
    before, after = Measured(1.0, multiple=7.8), Measured(1.0, multiple=7.2)
    row = Comparison("long step: ours", before, after).row(1.03)
    assert row.endswith("long step: ours: 7.20 x its baseline, above the limit of 7.1")
    assert Comparison("long step: ours", before, Measured(1.0, multiple=7.0)).worse(1.03) == ""


def test_no_ratio_is_made_of_a_little_memory():
    assert Comparison("command: help", Measured(1.0), Measured(1.0, 1_000)).memory_ratio is None
    assert Comparison("load: ours", Measured(1.0), Measured(1.0, 2 << 20)).memory_ratio > 1


@pytest.fixture
def measured(monkeypatch):
    """Let `compare` read given seconds for two checkouts; gives the order of measurements."""
    order = []

    def install(before, after):
        rounds = {"old": iter(before), "new": iter(after)}

        def measure(tree, _arguments):
            order.append(tree)
            found = next(rounds[tree]).items()
            return [((case, "ours"), Measured(seconds)) for case, seconds in found]

        monkeypatch.setattr(against, "ROOT", "new")
        monkeypatch.setattr(against, "_worktree", lambda _commit: nullcontext("old"))
        monkeypatch.setattr(against, "_measure", measure)
        return order

    return install


def test_rounds_alternate_and_medians_are_compared(measured):
    order = measured(
        [{"load": 1.0}, {"load": 9.0}, {"load": 2.0}], [{"load": 4.0}, {"load": 1.0}, {"load": 3.0}]
    )
    (found,) = against.compare("HEAD", [], rounds=3)
    assert found == Comparison("load: ours", before=Measured(2.0), after=Measured(3.0))
    assert order == ["old", "new", "new", "old", "old", "new"]


def test_the_cost_of_a_long_sound_is_checked_even_if_the_commit_has_no_such_case(measured):
    measured([{"load": 1.0}], [{"load": 1.0, "long step": 5.0, "decode": 1.0}])
    _, long = against.compare("v0", [], rounds=1)
    assert long.name == "long step: ours (not in v0)"
    long = replace(long, after=long.after._replace(multiple=8.0))
    assert long.worse(1.03) == "8.00 x its baseline, above the limit of 7.1"


def test_commits_without_a_common_case_cannot_be_compared(measured):
    measured([{"load": 1.0}], [{"decode": 1.0}])
    with pytest.raises(SettingsError, match="No case of v0 has the same name"):
        against.compare("v0", [], rounds=1)


def test_only_our_way_of_a_case_counts_if_it_has_one(monkeypatch, tmp_path):
    lines = [("a", "plain path"), ("a", "ours"), ("b", "whole"), ("b", "in chunks")]
    numbers = {"median_seconds": 0.5, "peak_bytes": 7}
    report = [{"case": case, "way": way, **numbers} for case, way in lines]
    done = SimpleNamespace(returncode=0, stdout=json.dumps({"lines": report}), stderr="")
    monkeypatch.setattr(against.subprocess, "run", lambda *_, **__: done)
    found = dict(against._measure(tmp_path, []))
    assert [*found] == [("a", "ours"), ("b", "whole"), ("b", "in chunks")]
    assert set(found.values()) == {Measured(0.5, 7)}


def test_commands_of_a_commit_whose_bench_does_not_know_them_are_measured(measured, monkeypatch):
    ran = []
    monkeypatch.setattr(against, "run_command", lambda *call: ran.append(call))
    measured([{}], [{"ten seconds": 4.0}])
    (found,) = against.compare("v0", [], rounds=1)
    assert found.name == "ten seconds: ours"
    assert ran == [("old", "ten seconds", "ours")]


def test_a_commit_without_the_chosen_cases_measures_nothing(monkeypatch, tmp_path):
    error = "error: No case of this model has 'command' in its name: choose from load."
    done = SimpleNamespace(returncode=2, stdout="", stderr=error)
    monkeypatch.setattr(against.subprocess, "run", lambda *_, **__: done)
    assert [*against._measure(tmp_path, [])] == []


def test_a_failed_measurement_is_an_error_with_its_last_line(monkeypatch, tmp_path):
    done = SimpleNamespace(returncode=2, stdout="", stderr="a warning\nerror: no such case")
    monkeypatch.setattr(against.subprocess, "run", lambda *_, **__: done)
    with pytest.raises(SettingsError, match=r"failed in .*: error: no such case"):
        list(against._measure(tmp_path, []))
