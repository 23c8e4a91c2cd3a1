"""How jobs ended, one by one and together."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

SHOWN_FAILURES = 20  # all of them are in the ledger


@dataclass(frozen=True)
class Result:
    """How a job ended."""

    key: str
    number: int  # of the item
    status: str  # "done" or "failed"
    output: str
    error: str = ""  # one line
    seconds: float = 0.0  # of sound, in all takes together
    elapsed_seconds: float = 0.0
    bytes: int = 0  # of all files
    seed: int | None = None
    worker: str = ""  # host and process

    def record(self) -> dict[str, Any]:
        """The line of the ledger."""
        return {name: value for name, value in asdict(self).items() if value not in ("", None)}


@dataclass
class Summary:
    """What a run did."""

    total: int
    ledger: str = ""
    counts: Counter[str] = field(default_factory=Counter)  # done, skipped, failed, failed before
    failures: list[dict[str, Any]] = field(default_factory=list)  # the first of them
    sound_seconds: float = 0.0
    bytes: int = 0
    elapsed_seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether every item has its output."""
        return self.counts["done"] + self.counts["skipped"] == self.total

    def add(self, result: Result) -> None:
        """Count a result."""
        self.counts[result.status] += 1
        self.sound_seconds += result.seconds
        self.bytes += result.bytes
        if result.status == "failed" and len(self.failures) < SHOWN_FAILURES:
            shown = {"number": result.number, "output": result.output, "error": result.error}
            self.failures.append(shown)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = ("done", "skipped", "failed", "failed before")
        counts = {name.replace(" ", "_"): self.counts[name] for name in names}
        rest = {n: v for n, v in asdict(self).items() if n not in ("counts", "total")}
        rest["elapsed_seconds"] = round(self.elapsed_seconds, 2)
        rest["sound_seconds"] = round(self.sound_seconds, 3)
        return {"total": self.total, **counts, **rest}
