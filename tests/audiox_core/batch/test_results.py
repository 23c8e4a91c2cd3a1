"""How jobs ended."""

from audiox_core.batch.results import SHOWN_FAILURES, Result, Summary


def test_a_record_holds_what_is_known():
    record = Result("aa", 3, "failed", "a.wav", "it is damaged").record()
    assert record["error"] == "it is damaged"
    assert "seed" not in record


def test_a_run_succeeds_only_if_every_item_has_its_output():
    summary = Summary(2)
    summary.add(Result("aa", 1, "done", "a.wav", seconds=1.5, bytes=10))
    assert not summary.succeeded
    summary.counts["skipped"] += 1
    assert summary.succeeded
    numbers = summary.as_dict()
    assert (numbers["done"], numbers["skipped"], numbers["failed"]) == (1, 1, 0)
    assert (numbers["sound_seconds"], numbers["bytes"]) == (1.5, 10)


def test_only_the_first_failures_are_kept():
    summary = Summary(100)
    for number in range(100):
        summary.add(Result("aa", number, "failed", "a.wav", "damaged"))
    assert [failure["number"] for failure in summary.failures] == [*range(SHOWN_FAILURES)]
    assert summary.counts["failed"] == 100
