"""What cannot be used is counted, listed and passed over, in the same way everywhere."""

import pickle

import pytest
import torch

from audiox_core.errors import AudioXError, SettingsError
from audiox_core.training.broken import Broken, BrokenItemError, Report, Usable, check
from audiox_core.training.clips import Clip


class Numbers:
    """A source whose clip `k` has the caption `k`; some are broken."""

    def __init__(self, count, broken=()):
        self.count, self.broken, self.notes = count, set(broken), {"captions cut": 2}

    def __len__(self):
        return self.count

    def clip(self, index):
        if index in self.broken:
            raise BrokenItemError(Broken(f"{index}.mp4", index + 1, "no sound", "It is mute."))
        return Clip(torch.zeros(2, 4), caption=str(index))


@pytest.mark.parametrize("workers", [1, 3])
def test_a_check_counts_and_lists_in_order(workers):
    seen = []
    report = check(Numbers(3_000, range(0, 3_000, 3)), workers=workers, on_item=seen.append)
    assert (report.total, report.usable, report.counts) == (3_000, 2_000, {"no sound": 1_000})
    assert [broken.index for broken in report.broken] == list(range(0, 3_000, 3))
    assert len(seen) == 3_000
    assert str(report).startswith("2,000 of 3,000 items can be used; broken: 1,000 no sound; 2 cap")


def test_any_error_of_ours_is_a_broken_item():
    class Other(Numbers):
        def clip(self, index):
            raise SettingsError("It is odd.")

    assert check(Other(1)).broken == (Broken("item 0", 0, "SettingsError", "It is odd.", 0),)


def test_a_report_is_read_back_as_it_was_written(tmp_path):
    report = check(Numbers(5, {1, 4}))
    report.write(tmp_path / "broken.jsonl")
    assert Report.read(tmp_path / "broken.jsonl") == report


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"total": 1, "notes": {}}\n{"a": 1}', "{"])
def test_what_is_no_report_is_an_error(tmp_path, text):
    (tmp_path / "broken.jsonl").write_text(text)
    with pytest.raises(SettingsError, match="delete it"):
        Report.read(tmp_path / "broken.jsonl")


def test_only_good_items_are_presented():
    source = Numbers(6, {0, 3})
    usable = Usable(source, check(source))
    assert [usable.clip(k).caption for k in range(len(usable))] == ["1", "2", "4", "5"]
    assert not usable.skipped


def test_an_item_that_breaks_later_is_stood_in_for_by_the_next_and_counted():
    source = Numbers(5)
    usable = Usable(source, check(source))
    source.broken = {3, 4}
    assert [usable.clip(k).caption for k in (2, 3, 4)] == ["2", "0", "0"]
    assert sorted(usable.skipped) == [3, 4]


def test_nothing_left_is_an_error_at_once_or_later():
    with pytest.raises(SettingsError, match="Nothing to train on: 0 of 2"):
        Usable(Numbers(2, {0, 1}), check(Numbers(2, {0, 1})))
    with pytest.raises(AudioXError, match="None of the 2 items"):
        Usable(Numbers(2, {0, 1})).clip(0)


def test_a_report_on_other_items_is_refused():
    with pytest.raises(SettingsError, match="check it again"):
        Usable(Numbers(3), Report(2))


def test_the_error_crosses_processes():
    error = BrokenItemError(Broken("a.mp4", 7, "silent", "It is silent."))
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.broken) == ("a.mp4 (line 7): It is silent.", error.broken)
