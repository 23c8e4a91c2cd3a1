"""Comparing two commits: ratios, verdicts, and what cannot be compared."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from audiox_core.errors import SettingsError
from audiox_core.lab.bench import against
from audiox_core.lab.bench.against import Comparison


@pytest.mark.parametrize(("after", "says"), [(1.02, "ok"), (1.04, "slower than the limit of 1.03")])
def test_a_comparison_is_a_line_with_its_verdict(after, says):
    row = Comparison("decode: whole", before=1.0, after=after).row(1.03)
    assert row.split()[:2] == [f"{after:.3f}", "x"]
    assert row.endswith(f"decode: whole: {says}")


@pytest.fixture
def measured(monkeypatch):
    """Let `compare` read given seconds for two checkouts; gives the order of measurements."""
    order = []

    def install(before, after):
        rounds = {"old": iter(before), "new": iter(after)}

        def measure(tree, _arguments):
            order.append(tree)
            return [((case, "ours"), seconds) for case, seconds in next(rounds[tree]).items()]

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
    assert found == Comparison("load: ours", before=2.0, after=3.0)
    assert order == ["old", "new", "new", "old", "old", "new"]


def test_commits_without_a_common_case_cannot_be_compared(measured):
    measured([{"load": 1.0}], [{"decode": 1.0}])
    with pytest.raises(SettingsError, match="No case of v0 has the same name"):
        against.compare("v0", [], rounds=1)


def test_only_our_way_of_a_case_counts_if_it_has_one(monkeypatch, tmp_path):
    lines = [("a", "plain path"), ("a", "ours"), ("b", "whole"), ("b", "in chunks")]
    report = [{"case": case, "way": way, "median_seconds": 0.5} for case, way in lines]
    done = SimpleNamespace(returncode=0, stdout=json.dumps({"lines": report}), stderr="")
    monkeypatch.setattr(against.subprocess, "run", lambda *_, **__: done)
    cases = [case for case, _ in against._measure(tmp_path, [])]
    assert cases == [("a", "ours"), ("b", "whole"), ("b", "in chunks")]


def test_a_failed_measurement_is_an_error_with_its_last_line(monkeypatch, tmp_path):
    done = SimpleNamespace(returncode=2, stdout="", stderr="a warning\nerror: no such case")
    monkeypatch.setattr(against.subprocess, "run", lambda *_, **__: done)
    with pytest.raises(SettingsError, match=r"failed in .*: error: no such case"):
        list(against._measure(tmp_path, []))
