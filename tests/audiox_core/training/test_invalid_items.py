"""What cannot be used is counted and listed, in the same way everywhere."""

import json
import pickle

import pytest
import torch

from audiox_core.errors import SettingsError
from audiox_core.training.clips import InvalidItem, InvalidItemError, TrainingClip
from audiox_core.training.invalid_items import check


class Numbers:
    """A source whose clip `k` has the caption `k`; some are invalid."""

    def __init__(self, count, invalid=()):
        self.count, self.invalid, self.notes = count, set(invalid), {"captions cut": 2}

    def __len__(self):
        return self.count

    def clip(self, index):
        if index in self.invalid:
            raise InvalidItemError(
                InvalidItem(f"{index}.mp4", index + 1, "no sound", "It is mute.")
            )
        return TrainingClip(torch.zeros(2, 4), caption=str(index))


@pytest.mark.parametrize("workers", [1, 3])
def test_a_check_counts_and_lists_in_order(workers):
    seen = []
    report = check(Numbers(3_000, range(0, 3_000, 3)), workers=workers, on_item=seen.append)
    assert (report.total, report.usable, report.counts) == (3_000, 2_000, {"no sound": 1_000})
    assert [invalid.index for invalid in report.invalid] == list(range(0, 3_000, 3))
    assert len(seen) == 3_000


def test_any_audiox_error_makes_an_invalid_item():
    class Other(Numbers):
        def clip(self, index):
            raise SettingsError("It is odd.")

    assert check(Other(1), on_item=lambda _: None).invalid == (
        InvalidItem("item 0", 0, "SettingsError", "It is odd.", 0),
    )


def test_a_written_report_holds_the_counts_and_every_item(tmp_path):
    report = check(Numbers(5, {1, 4}), on_item=lambda _: None)
    report.write(tmp_path / "invalid.jsonl")
    head, *items = map(json.loads, (tmp_path / "invalid.jsonl").read_text().splitlines())
    assert head == {"total": 5, "counts": {"no sound": 2}, "notes": {"captions cut": 2}}
    assert tuple(InvalidItem(**item) for item in items) == report.invalid


def test_the_error_can_be_pickled():
    error = InvalidItemError(InvalidItem("a.mp4", 7, "silent", "It is silent."))
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.item) == ("a.mp4 (line 7): It is silent.", error.item)
