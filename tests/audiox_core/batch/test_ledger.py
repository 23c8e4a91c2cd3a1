"""The record of a batch: valid after a kill, one writer, small in memory."""

import json

import pytest

from audiox_core.batch import ledger as module
from audiox_core.batch.ledger import DONE, FAILED, STARTED, STOPPED, KeyTable, open_ledger
from audiox_core.errors import SettingsError

KEY, OTHER = "00000000000000aa", "ffffffffffffffff"


def test_a_table_keeps_the_latest_number_of_each_key(monkeypatch):
    monkeypatch.setattr(module, "LATEST", 4)
    table, plain = KeyTable(), {}
    for k in range(100):
        key, value = (k * 7919) % 41 << 58, k % 250 + 1
        table.set(key, value)
        plain[key] = value
        assert {k: table.get(k) for k in plain} == plain
    assert table.get(5) == 0


def test_a_key_of_many_takes_nine_bytes():
    table, count = KeyTable(), 150_000
    for key in range(count):
        table.set(key << 32, DONE)
    packed = len(table._keys)
    assert count - packed <= module.LATEST  # the rest are Python objects
    assert table._keys.nbytes + table._values.nbytes == 9 * packed
    assert table.get((count - 1) << 32) == table.get(0) == DONE


def test_the_last_event_of_a_job_counts_in_the_next_run(tmp_path):
    path = tmp_path / "batch.jsonl"
    with open_ledger(path) as ledger:
        assert ledger.state(KEY) == 0
        ledger.start(KEY, tmp_path / "a.wav")
        assert ledger.state(KEY) == STARTED
        ledger.finish({"key": KEY, "status": "failed"})
        ledger.finish({"key": KEY, "status": "done"})
        ledger.finish({"key": OTHER, "status": "failed"})
    with open_ledger(path) as ledger:
        assert (ledger.state(KEY), ledger.state(OTHER)) == (DONE, FAILED)
        assert ledger.knows_output(tmp_path / "a.wav")
        assert not ledger.knows_output(tmp_path / "b.wav")


def test_attempts_without_an_end_are_counted_and_a_stop_is_none(tmp_path):
    for expected in (STARTED, STARTED + 1):
        with open_ledger(tmp_path / "batch.jsonl") as ledger:
            ledger.start(KEY, tmp_path / "a.wav")
            ledger.start(OTHER, tmp_path / "b.wav", counted=False)
            assert (ledger.state(KEY), ledger.state(OTHER)) == (expected, STARTED)
    with open_ledger(tmp_path / "batch.jsonl") as ledger:
        ledger.stop([KEY])
        assert ledger.state(KEY) == STOPPED
        ledger.start(KEY, tmp_path / "a.wav")
        assert ledger.state(KEY) == STARTED


@pytest.mark.parametrize("half", [b'{"key": "00', b"\x00" * 100_000])
def test_half_a_line_at_the_end_is_removed(tmp_path, half):
    path = tmp_path / "batch.jsonl"
    whole = json.dumps({"key": KEY, "status": "done"}).encode() + b"\n"
    path.write_bytes(whole + half)
    with open_ledger(path) as ledger:
        assert ledger.state(KEY) == DONE
        ledger.finish({"key": OTHER, "status": "done"})
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == [KEY, OTHER]


def test_damaged_lines_are_ignored_with_a_message(tmp_path, caplog):
    path = tmp_path / "batch.jsonl"
    path.write_text(f'{{"key": 3}}\n{{"key": "{KEY}", "status": "done"}}\n[]\n', encoding="utf-8")
    with open_ledger(path) as ledger:
        assert ledger.state(KEY) == DONE
    assert "2 damaged lines" in caplog.text


def test_only_one_process_writes_a_ledger(tmp_path):
    path = tmp_path / "batch.jsonl"
    refused = pytest.raises(SettingsError, match="Another batch writes")
    with open_ledger(path), refused, open_ledger(path):
        pass


def test_a_ledger_that_is_only_read_is_not_made(tmp_path):
    with open_ledger(tmp_path / "batch.jsonl", write=False) as ledger:
        ledger.finish({"key": KEY, "status": "done"})
        assert ledger.state(KEY) == DONE
    assert not [*tmp_path.iterdir()]
