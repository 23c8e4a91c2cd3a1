"""Items that cannot be trained on: counted and listed. `cache.py` passes over them."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import AudioXError
from ..media.files import replacing
from .clips import Source


@dataclass(frozen=True)
class InvalidItem:
    """One item and why it cannot be used."""

    item: str  # what it is called
    line: int  # of its list, from 1; 0 where it comes from none
    reason: str  # a few words, to count by
    message: str  # what was found, expected, to be done
    index: int = -1  # of its source; -1 where it is in none


class InvalidItemError(AudioXError):
    """What a source raises for an item that cannot be used."""

    def __init__(self, broken: InvalidItem) -> None:
        where = f" (line {broken.line})" if broken.line else ""
        super().__init__(f"{broken.item}{where}: {broken.message}")
        self.broken = broken

    def __reduce__(self) -> tuple[Any, ...]:  # through the queue of a loader's process
        return type(self), (self.broken,)


@dataclass(frozen=True)
class Report:
    """What a source's items are worth."""

    total: int
    broken: tuple[InvalidItem, ...] = ()
    notes: Mapping[str, int] = field(default_factory=dict)  # changed to be usable, by what

    @property
    def usable(self) -> int:
        """Items that can be trained on."""
        return self.total - len(self.broken)

    @property
    def counts(self) -> dict[str, int]:
        """How many are broken, by reason, the most frequent first."""
        return dict(Counter(broken.reason for broken in self.broken).most_common())

    def __str__(self) -> str:
        parts = [f"{self.usable:,} of {self.total:,} items can be used"]
        if self.broken:
            parts.append(f"broken: {counted(self.counts)}")
        if self.notes:
            parts.append(counted(self.notes))
        return "; ".join(parts)

    def write(self, path: Path) -> None:
        """Write it as JSON lines: the counts first, then every broken item.

        Raises:
            MediaError: the file cannot be written.
        """
        head = {"total": self.total, "counts": self.counts, "notes": dict(self.notes)}
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            for record in (head, *map(asdict, self.broken)):
                file.write(json.dumps(record) + "\n")


def counted(counts: Mapping[str, int]) -> str:
    """Counts as words: `3 no sound, 1 duplicate`."""
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())


def check(
    source: Source, *, workers: int = 1, on_item: Callable[[InvalidItem | None], None] | None = None
) -> Report:
    """Try every item of a source once; one clip at a time, per worker, is in memory.

    Args:
        source: of clips.
        workers: threads that read; decoders run beside one another.
        on_item: called after each item, in order, with what is wrong with it.
    """
    found = []
    with ThreadPoolExecutor(workers) as pool:
        for broken in pool.map(lambda index: _examine(source, index), range(len(source))):
            if on_item is not None:
                on_item(broken)
            if broken is not None:
                found.append(broken)
    return Report(len(source), tuple(found), notes_of(source))


def notes_of(source: Source) -> dict[str, int]:
    """What a source changed in its items to make them usable, if it tells."""
    return dict(getattr(source, "notes", {}))


def _examine(source: Source, index: int) -> InvalidItem | None:
    try:
        source.clip(index)
    except AudioXError as error:
        return _broken(error, index)
    return None


def _broken(error: AudioXError, index: int) -> InvalidItem:
    if isinstance(error, InvalidItemError):
        return replace(error.broken, index=index)
    return InvalidItem(f"item {index}", 0, type(error).__name__, str(error), index)
