"""Manifests: JSON lines that list clips with their file, start, caption and task.

Published lists (vggsound-caps, V2M-caps) use different keys for the same fields: `NAMES` has all
that are understood. A line that cannot be used is kept with the reason, not dropped.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SettingsError, shown
from ..media.files import replacing
from .clips import InvalidItem
from .tasks import GIVEN, Task

# Keys of each field; the first with a value counts.
NAMES = {
    "path": ("path", "file", "audio_path", "file_path", "filename", "file_name", "media"),
    "video_path": ("video_path", "video", "video_file"),
    "id": ("id", "video_id", "youtube_id", "ytid"),
    "start": ("start", "start_second", "start_seconds", "start_time", "start_sec"),
    "caption": ("caption", "text", "description", "label"),
    "task": ("task", "type", "condition", "task_type"),
}
CAPTION_CHARACTERS = 1_000  # more than twice what the 128 tokens of a text hold
LATEST_START = 1_000_000  # seconds: eleven days
LONGEST_NAME = 4_096  # characters of a path
LONGEST_LINE = 1 << 20  # bytes; anything longer is not a manifest

_SURROGATE = re.compile("[\ud800-\udfff]")  # text with one cannot be written or tokenised


@dataclass(frozen=True)
class Item:
    """One line of a manifest; its file is given by a path, or by an id to search for."""

    path: str = ""  # of the target's file; below the media folder, or absolute
    video_path: str = ""  # of the picture, if it is in another file
    id: str = ""  # instead of a path
    start: float | None = None  # seconds; None: all targets that fit into the file
    caption: str = ""
    task: Task | None = None  # None: caption and picture, if there are any
    line: int = field(default=0, compare=False)  # of the manifest, from 1

    @property
    def name(self) -> str:
        """Its name in messages."""
        named = self.path or self.video_path or self.id
        return named if self.start is None else f"{named} from {self.start:g} s"

    @property
    def given(self) -> tuple[str, ...]:
        """Modalities that the model gets, if they exist."""
        return ("text", "video") if self.task is None else GIVEN[self.task.given]

    @property
    def needs(self) -> tuple[str, ...]:
        """Modalities without which it cannot be used."""
        return () if self.task is None else self.task.needs

    @property
    def is_music(self) -> bool:
        """Whether its target is music."""
        return self.task is not None and self.task.target == "music"

    def to_record(self) -> dict[str, Any]:
        """The line with our own keys, without empty fields."""
        values = vars(self) | {"task": str(self.task or "")}
        return {n: v for n, v in values.items() if n != "line" and v not in ("", None)}


@dataclass(frozen=True)
class Manifest:
    """A manifest; both parts are in its order."""

    items: tuple[Item, ...] = ()
    invalid: tuple[InvalidItem, ...] = ()  # lines that cannot be used
    cut_captions: int = 0  # captions beyond `CAPTION_CHARACTERS`


class _BadLineError(Exception):
    """Why a line cannot be used: reason, message."""


def read(path: Path) -> Manifest:
    """Read a manifest; lines that cannot be used are in its `invalid`.

    Raises:
        SettingsError: no such file, or none of its lines can be used.
    """
    path = Path(path)
    if not path.is_file() or not os.access(path, os.R_OK):  # reading a pipe might never end
        raise SettingsError(
            f"{path} is not a file that can be read: choose a manifest in JSON lines; `python -m "
            "audiox_core captions` writes one for a folder."
        )
    manifest = collect(_lines(path))
    if not manifest.items:
        invalid = manifest.invalid
        first = f" Line {invalid[0].line}: {invalid[0].message}" if invalid else ""
        raise SettingsError(
            f"{path} cannot be used: none of its {len(invalid)} lines is valid.{first} Expected "
            'JSON lines such as {"path": "a.mp4", "caption": "a dog barks"}.'
        )
    return manifest


def collect(
    records: Iterable[tuple[int, Mapping[str, Any] | bytes]], *, needs_caption: bool = False
) -> Manifest:
    """The items of numbered records, or lines of JSON; those that cannot be used are listed."""
    items: dict[Item, int] = {}
    invalid, cut = [], 0
    for number, data in records:
        try:
            record = _record(data) if isinstance(data, bytes) else data
            item = _item(record, number)
            if needs_caption and not item.caption:
                raise _BadLineError("no caption", "It has no caption.")
            if item in items:
                raise _BadLineError("duplicate", f"It repeats line {items[item]}.")
            items[item] = number
            cut += len(item.caption) < len(_text(record, "caption"))
        except _BadLineError as error:
            invalid.append(InvalidItem(f"line {number}", number, *error.args))
        except SettingsError as error:
            invalid.append(InvalidItem(f"line {number}", number, "bad task", str(error)))
    return Manifest(tuple(items), tuple(invalid), cut)


def write(path: Path, items: Iterable[Item]) -> None:
    """Write a manifest, completely or not at all.

    Raises:
        MediaError: the file cannot be written.
    """
    write_lines(path, (item.to_record() for item in items))


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines, completely or not at all; a name that is not valid text is escaped.

    Raises:
        MediaError: the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            line = json.dumps(record, ensure_ascii=False)
            file.write((json.dumps(record) if _SURROGATE.search(line) else line) + "\n")


def cut_caption(caption: str) -> str:
    """At most `CAPTION_CHARACTERS`, cut between words."""
    if len(caption) <= CAPTION_CHARACTERS:
        return caption
    head = caption[: CAPTION_CHARACTERS + 1]
    return head.rpartition(" ")[0] or head[:CAPTION_CHARACTERS]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Non-empty lines with their numbers."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            whole = line
            while not line.endswith(b"\n") and (line := file.readline(LONGEST_LINE)):
                whole = whole[:1]  # too long: one byte is kept, which is not valid JSON
            if number == 1:
                whole = whole.removeprefix(b"\xef\xbb\xbf")
            if whole.strip():
                yield number, whole


def _record(data: bytes) -> dict[str, Any]:
    try:
        record = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _BadLineError("not JSON", "It is not UTF-8 text.") from error
    except (ValueError, RecursionError) as error:
        raise _BadLineError("not JSON", f"It is not JSON ({str(error)[:80]}).") from error
    if not isinstance(record, dict):
        raise _BadLineError("not JSON", "It is JSON, but not an object with keys.")
    return {str(name).lower(): value for name, value in record.items()}


def _item(record: Mapping[str, Any], line: int) -> Item:
    path, video_path, name = (_text(record, key) for key in ("path", "video_path", "id"))
    if not (path or video_path or name):
        names = ", ".join(NAMES["path"] + NAMES["video_path"] + NAMES["id"])
        raise _BadLineError("no media named", f"It has none of {names}.")
    caption = _text(record, "caption")
    if _SURROGATE.search(caption):
        raise _BadLineError("bad caption", "Its caption contains half of a surrogate pair.")
    return Item(
        path=path or video_path,
        video_path=video_path if path and path != video_path else "",
        id=name if not (path or video_path) else "",
        start=_start(record),
        caption=cut_caption(caption),
        task=Task.parse(task) if (task := _text(record, "task")) else None,
        line=line,
    )


def _value(record: Mapping[str, Any], key: str) -> Any:
    """The value of a field under any of its keys, or None."""
    values = (record.get(name) for name in NAMES[key])
    return next((value for value in values if value not in (None, "")), None)


def _text(record: Mapping[str, Any], key: str) -> str:
    value = _value(record, key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _BadLineError(f"bad {key}", f"Its {key} is {shown(value)}: expected text.")
    if key != "caption" and (len(value) > LONGEST_NAME or "\0" in value):
        raise _BadLineError(f"bad {key}", f"Its {key} is {shown(value)}: no file is called so.")
    return value


def _start(record: Mapping[str, Any]) -> float | None:
    value = _value(record, "start")
    if value is None:
        return None
    if (start := seconds_of(value)) is None:
        message = f"Its start is {shown(value)}: expected 0 to {LATEST_START:,} seconds."
        raise _BadLineError("bad start", message)
    return start


def seconds_of(value: Any) -> float | None:
    """A number, or a text with one, as the start of an item; None if it is no such time."""
    try:
        start = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        return None
    return start if 0 <= start <= LATEST_START else None
