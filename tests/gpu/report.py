"""The rows as a table, as JSON and as Markdown."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .bench import Row

HEADER = (
    f"{'case':28} {'model':17} {'precision':9} {'way':30} {'time':>10} {'limit':>6} {'memory':>9}"
)


def line(row: Row) -> str:
    """One row for people."""
    head = f"{row.case[:28]:28} {row.model[:17]:17} {row.precision:9} {row.way[:30]:30}"
    numbers = f"{duration(row.seconds):>10} {share(row.share):>6} {memory(row.extra_bytes):>9}"
    return f"{head} {numbers}  {f'FAILED {row.error}' if row.error else row.note}".rstrip()


def duration(seconds: float | None) -> str:
    """With a unit that fits."""
    if seconds is None:
        return ""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.2f} ms"


def share(part: float | None) -> str:
    """Per cent."""
    return "" if part is None else f"{part:.1%}"


def memory(count: int | None) -> str:
    """Gigabytes."""
    return "" if count is None else f"{count / 1e9:.2f} GB"


def write_json(path: Path, machine: Mapping[str, Any], rows: Iterable[Row]) -> None:
    """Everything."""
    found = {"machine": machine, "rows": [row.to_dict() for row in rows]}
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")


def write_markdown(path: Path, machine: Mapping[str, Any], rows: Iterable[Row]) -> None:
    """The timed rows as a table for a README, and what failed below it."""
    rows = list(rows)
    named = ", ".join(f"{key} {value}" for key, value in machine.items() if "bytes" not in key)
    lines = [
        f"Measured by `python -m tests.gpu`: {named}. Random weights.",
        "",
        "| what | model | precision | how | time | of the limit | memory | beside the weights |",
        "|---|---|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        if row.seconds is not None and not row.case.startswith("profile"):
            cells = (row.case, row.model, row.precision, row.way, duration(row.seconds),
                     share(row.share), memory(row.peak_bytes), memory(row.extra_bytes))  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    if notes := [row for row in rows if row.error]:
        lines += ["", "Not measured:", ""]
        lines += [f"- {r.case} {r.model} {r.precision} {r.way}: {r.error}" for r in notes]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
