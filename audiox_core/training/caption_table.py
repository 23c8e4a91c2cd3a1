"""A table of captions as CSV: a file's path or id, its caption, and perhaps where it starts."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from ..errors import SettingsError
from .invalid_items import InvalidItem
from .manifest import LATEST_START, NAMES

_DELIMITERS = "\t;,"


@dataclass(frozen=True)
class Row:
    """One caption."""

    media: str  # path or id
    caption: str
    start: float | None  # seconds
    line: int


def read_table(path: Path) -> tuple[list[Row], list[InvalidItem]]:
    """Captions of a table, and the rows that say none.

    With a header its names decide (those of a manifest). Without one the columns are path or id,
    caption and perhaps start, or, as vggsound.csv has them, id, start, caption.

    Raises:
        SettingsError: no such file, no UTF-8 text, or no column of captions.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            lines = [
                (reader.line_num, [cell.strip() for cell in cells])
                for cells in reader
                if any(cell.strip() for cell in cells)
            ]
    except (OSError, ValueError, csv.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"{path} cannot be read as a table ({why}): give a CSV file in UTF-8 with the columns "
            "path, caption and, if wanted, start."
        ) from error
    if not lines:
        raise SettingsError(f"{path} is an empty table: it needs the columns path and caption.")
    columns = _columns(lines[0][1], path)
    body = lines[1:] if _has_header(lines[0][1]) else lines
    rows, broken = [], []
    for number, cells in body:
        row = _row(cells, columns, number)
        (rows if isinstance(row, Row) else broken).append(row)
    return rows, broken


def _delimiter(line: str) -> str:
    """A tab where there is one; else what comes first, since captions hold commas too."""
    found = [mark for mark in _DELIMITERS if mark in line]
    return "\t" if "\t" in found else min(found, key=line.index, default=",")


def _has_header(cells: Sequence[str]) -> bool:
    known = {name for names in NAMES.values() for name in names}
    return sum(cell.lower() in known for cell in cells) >= 2


def _columns(cells: Sequence[str], path: Path) -> dict[str, int]:
    """Where media, caption and start stand."""
    if _has_header(cells):
        head = [cell.lower() for cell in cells]
        places = {key: _place(head, names) for key, names in NAMES.items()}
        media = [places[key] for key in ("path", "video_path", "id") if places[key] is not None]
        if media and places["caption"] is not None:
            found = {"media": media[0], "caption": places["caption"], "start": places["start"]}
            return {key: place for key, place in found.items() if place is not None}
    elif len(cells) == 2:
        return {"media": 0, "caption": 1}
    elif len(cells) > 2:
        numbers = [place for place in (1, 2) if _number(cells[place]) is not None]
        if numbers == [1]:
            return {"media": 0, "start": 1, "caption": 2}
        return {"media": 0, "caption": 1, **({"start": 2} if numbers else {})}
    raise SettingsError(
        f"{path} has the columns {', '.join(cells)[:80]}: expected path (or id), caption and, if "
        "wanted, start."
    )


def _place(head: Sequence[str], names: Sequence[str]) -> int | None:
    return next((head.index(name) for name in names if name in head), None)


def _row(cells: Sequence[str], columns: dict[str, int], line: int) -> Row | InvalidItem:
    values = {key: cells[place] for key, place in columns.items() if place < len(cells)}
    media, caption, start = (values.get(key, "") for key in ("media", "caption", "start"))
    if not media or not caption:
        return InvalidItem(
            media or f"line {line}", line, "no caption", "The row lacks path or caption."
        )
    seconds = _number(start) if start else None
    if start and seconds is None:
        return InvalidItem(
            media, line, "bad start", f"Its start is {start[:40]!r}: expected seconds."
        )
    return Row(media, caption, seconds, line)


def _number(text: str) -> float | None:
    """Seconds, or None where the text is no such number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) and 0 <= value <= LATEST_START else None
