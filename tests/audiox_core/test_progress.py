"""The share of a run that is done, from the shares of its stages."""

import pytest

from audiox_core.progress import Progress, Stages


def test_stages_move_the_whole_by_their_estimated_time():
    seen = []
    stages = Stages({"loading": 1.0, "sampling": 3.0}, seen.append)
    for stage, done in (("loading", 0.0), ("loading", 1.0), ("sampling", 0.5), ("sampling", 1.0)):
        stages.report(stage, done)
    assert seen == [
        Progress("loading", 0.0, 0.0),
        Progress("loading", 1.0, 0.25),
        Progress("sampling", 0.5, 0.625),
        Progress("sampling", 1.0, 1.0),
    ]


def test_a_run_within_a_stage_keeps_the_names_of_its_stages():
    seen = []
    outer = Stages({"loading": 1.0, "generating": 2.0, "writing": 1.0}, seen.append)
    inner = Stages({"sampling": 1.0, "decoding": 1.0}, outer.nested("generating"))
    inner.report("sampling", 1.0)
    inner.report("decoding", 1.0)
    outer.report("writing")
    assert seen == [
        Progress("sampling", 1.0, 0.5),
        Progress("decoding", 1.0, 0.75),
        Progress("writing", 0.0, 0.75),
    ]


@pytest.mark.parametrize("count", [3, 7, 10])
def test_only_the_end_of_the_last_stage_is_all(count):
    seen = []
    stages = Stages({str(n): 0.1 for n in range(count)}, seen.append)
    for number in range(count):
        stages.report(str(number))
        stages.report(str(number), 1.0)
    shares = [progress.share for progress in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert max(shares[:-1]) < 1
