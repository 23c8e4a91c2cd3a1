"""The record of a batch: one line of JSON for each event, which is only ever added at its end.

One process writes it. After a kill it is valid: half a line at its end is removed, and a clip that
was in work has a line that says so and no other.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import SettingsError
from ..locks import locked

logger = logging.getLogger(__name__)

# from STARTED on: how often an item was begun and not ended
DONE, FAILED, STOPPED, STARTED = 1, 2, 3, 4
NAMES = {"done": DONE, "failed": FAILED, "stopped": STOPPED, "started": STARTED}
LATEST = 1 << 16  # keys that are held as Python objects before they are packed
MOST_ATTEMPTS = 3


class KeyTable:
    """A small number for each key of 8 bytes; a key takes 9 bytes, however many there are."""

    def __init__(self) -> None:
        self._keys, self._values = np.empty(0, np.uint64), np.empty(0, np.uint8)
        self._latest: dict[int, int] = {}

    def get(self, key: int) -> int:
        """The number of a key; 0 if there is none."""
        if (value := self._latest.get(key)) is not None:
            return value
        if not len(self._keys):
            return 0
        place = int(np.searchsorted(self._keys, np.uint64(key)))
        found = place < len(self._keys) and int(self._keys[place]) == key
        return int(self._values[place]) if found else 0

    def set(self, key: int, value: int) -> None:
        """Set the number of a key."""
        self._latest[key] = value
        if len(self._latest) > max(LATEST, len(self._keys) // 8):
            self._pack()

    def _pack(self) -> None:
        latest = len(self._latest)
        keys = np.fromiter(self._latest.keys(), np.uint64, latest)
        values = np.fromiter(self._latest.values(), np.uint8, latest)
        keys, values = np.append(self._keys, keys), np.append(self._values, values)
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], values[order]
        last = np.append(keys[1:] != keys[:-1], True)  # of equal keys the latest counts
        self._keys, self._values, self._latest = keys[last], values[last], {}


class Ledger:
    """The events of a batch, and the last one of each job. Use `open_ledger`."""

    def __init__(self, path: Path, file: BinaryIO | None) -> None:
        self.path, self._file = path, file
        self._states, self._outputs = KeyTable(), KeyTable()
        self._read()

    def state(self, key: str) -> int:
        """`DONE`, `FAILED`, `STOPPED`, `STARTED` and above for each begin without an end, or 0."""
        return self._states.get(int(key, 16))

    def knows_output(self, path: Path) -> bool:
        """Whether a job of this ledger wrote, or began to write, an output."""
        return bool(self._outputs.get(output_key(path)))

    def start(self, key: str, output: Path, *, counted: bool = True) -> None:
        """Record that a job begins.

        Args:
            key: of the job.
            output: of the job.
            counted: False does not count it as an attempt: others may begin it.
        """
        state = self.state(key)
        attempt = state - STARTED + 2 if state >= STARTED and counted else 1
        record = {"key": key, "status": "started", "output": str(output), "attempt": attempt}
        self._append(record)

    def finish(self, record: dict[str, Any]) -> None:
        """Record how a job ended: its `key` and its `status`, "done" or "failed"."""
        self._append(record)
        if self._file is not None:
            os.fsync(self._file.fileno())

    def stop(self, keys: Iterable[str]) -> None:
        """Record that an interrupt ended jobs."""
        for key in keys:
            self._append({"key": key, "status": "stopped"})

    def _append(self, record: dict[str, Any]) -> None:
        self._count(record)
        if self._file is not None:
            self._file.write(json.dumps(record).encode() + b"\n")  # unbuffered: one call

    def _count(self, record: dict[str, Any]) -> None:
        state = NAMES[record["status"]]
        if state == STARTED:
            state = min(STARTED + max(1, int(record.get("attempt", 1))) - 1, 255)
        self._states.set(int(record["key"], 16), state)
        if state != FAILED and (output := record.get("output")):  # it may be another's file
            self._outputs.set(output_key(output), 1)

    def _read(self) -> None:
        if not self.path.exists():
            return
        damaged = 0
        with self.path.open("rb") as file:
            for line in file:
                try:
                    self._count(json.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError):
                    damaged += 1
        if damaged:
            logger.warning("%s: %d damaged lines are ignored.", self.path, damaged)


@contextmanager
def open_ledger(path: Path, *, write: bool = True) -> Iterator[Ledger]:
    """Open a ledger; it is made if there is none.

    Args:
        path: of the file.
        write: False neither changes nor locks it; what is recorded is forgotten.

    Raises:
        SettingsError: another batch writes it.
    """
    if not write:
        yield Ledger(path, None)
        return
    busy = SettingsError(
        f"Another batch writes {path}: wait for it, or choose another --output or --ledger."
    )
    with locked(path, busy), path.open("ab", buffering=0) as file:
        _remove_half_a_line(path)
        yield Ledger(path, file)


def _remove_half_a_line(path: Path) -> None:
    """Cut what a killed process, or a full disk, left behind the last whole line."""
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        place = end
        while place > 0:
            begin = max(0, place - (1 << 16))
            file.seek(begin)
            newline = file.read(place - begin).rfind(b"\n")
            if newline >= 0:
                place = begin + newline + 1
                break
            place = begin
        if place < end:
            file.truncate(place)
            logger.warning("%s: half a line at the end was removed.", path)


def output_key(output: Path | str) -> int:
    """The key of an output in a `KeyTable`."""
    name = str(output).encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big")
