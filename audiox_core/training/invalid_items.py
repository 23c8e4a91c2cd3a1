"""Which items of a source can be trained on: a check that counts and lists the others."""

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..errors import AudioXError
from .clips import InvalidItem, Source
from .manifest import write_lines


@dataclass(frozen=True)
class Report:
    """How many items of a source can be used, and why the others cannot."""

    total: int
    invalid: tuple[InvalidItem, ...] = ()
    notes: Mapping[str, int] = field(default_factory=dict)  # what was changed, how often

    @property
    def usable(self) -> int:
        """Items that can be trained on."""
        return self.total - len(self.invalid)

    @property
    def counts(self) -> dict[str, int]:
        """How many are invalid, by reason, the most frequent first."""
        return dict(Counter(item.reason for item in self.invalid).most_common())

    def write(self, path: Path) -> None:
        """Write JSON lines: the counts first, then every invalid item.

        Raises:
            MediaError: the file cannot be written.
        """
        head = {"total": self.total, "counts": self.counts, "notes": dict(self.notes)}
        write_lines(path, (head, *map(asdict, self.invalid)))


def counted(counts: Mapping[str, int]) -> str:
    """Counts as words: `3 no sound, 1 duplicate`."""
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())


def check(
    source: Source, *, workers: int = 1, on_item: Callable[[InvalidItem | None], None]
) -> Report:
    """Read every clip of a source once; each worker holds one clip at a time.

    Args:
        source: of clips.
        workers: threads that read.
        on_item: called after each item, in order, with what is wrong with it.
    """

    def examine(index: int) -> InvalidItem | None:
        try:
            source.clip(index)
        except AudioXError as error:
            unknown = InvalidItem(f"item {index}", 0, type(error).__name__, str(error))
            return replace(getattr(error, "item", unknown), index=index)
        return None

    found = []
    with ThreadPoolExecutor(workers) as pool:
        for invalid in pool.map(examine, range(len(source))):
            on_item(invalid)
            if invalid is not None:
                found.append(invalid)
    return Report(len(source), tuple(found), source.notes)
