"""A list of recorded clips as JSON lines: which file, from when on, in what words, for which task.

The lists of vggsound-caps, V2M-caps and their like name the same things in different words: `NAMES`
has all that are understood. A line that cannot be used is kept, with its reason, never dropped.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from ..errors import SettingsError
from ..media.files import replacing
from .clips import InvalidItem

# What a line may call a thing; of several the first that says something counts.
NAMES = {
    "path": ("path", "file", "audio_path", "file_path", "filename", "file_name", "media"),
    "video_path": ("video_path", "video", "video_file"),
    "id": ("id", "video_id", "youtube_id", "ytid"),
    "start": ("start", "start_second", "start_seconds", "start_time", "start_sec"),
    "caption": ("caption", "text", "description", "label"),
    "task": ("task", "type", "condition", "task_type"),
}
GIVEN = {  # what the model is given: the first half of a task's name
    "text": ("text",),
    "video": ("video",),
    "text+video": ("text", "video"),
    "audio": ("audio",),
    "uni": ("text", "video", "audio"),
}
TARGETS = ("audio", "music")  # what it shall make of it: the second half
CAPTION_CHARACTERS = 1_000  # more than twice what the 128 tokens of a text hold
LATEST_START = 1e6  # seconds: eleven days
LONGEST_LINE = 1 << 20  # bytes; what is longer is no list

_TASK = re.compile(r"(?P<given>[a-z+]+)_condition-(?P<target>[a-z]+)")


@dataclass(frozen=True)
class Task:
    """What is given, and what is made of it: `text+video_condition-audio`."""

    given: str  # a key of `GIVEN`
    target: str  # one of `TARGETS`

    def __str__(self) -> str:
        return f"{self.given}_condition-{self.target}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Modalities without which an item cannot be used: `uni` takes what there is."""
        return () if self.given == "uni" else GIVEN[self.given]

    @classmethod
    def parse(cls, text: str) -> "Task":
        """Read a task's name. Raises SettingsError where it is none."""
        found = _TASK.fullmatch(text.strip().lower())
        given = "+".join(sorted(found["given"].split("+"))) if found else ""
        if given not in GIVEN or found["target"] not in TARGETS:
            raise SettingsError(
                f"{text[:80]!r} is no task: expected <{'|'.join(GIVEN)}>_condition-"
                f"<{'|'.join(TARGETS)}>."
            )
        return cls(given, found["target"])


@dataclass(frozen=True)
class Item:
    """One line of a list. It names its file by a path or by an id, to which a file is looked up."""

    path: str = ""  # of the file whose sound is the target; below the media folder, or absolute
    video_path: str = ""  # of the picture, where it lies in another file
    id: str = ""  # instead of a path
    start: float | None = None  # seconds; None: every target that the file has room for
    caption: str = ""
    task: Task | None = None  # None: words and picture, as far as there are any
    line: int = field(default=0, compare=False)  # of the list, from 1

    @property
    def name(self) -> str:
        """What to call it in a message."""
        named = self.path or self.video_path or self.id
        return named if self.start is None else f"{named} from {self.start:g} s"

    @property
    def given(self) -> tuple[str, ...]:
        """Modalities that the model gets of it, where they are there."""
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
        """The line in our own words; what is not there is left out."""
        values = {
            "path": self.path,
            "video_path": self.video_path,
            "id": self.id,
            "start": self.start,
            "caption": self.caption,
            "task": "" if self.task is None else str(self.task),
        }
        return {name: value for name, value in values.items() if value not in ("", None)}


@dataclass(frozen=True)
class Manifest:
    """A whole list, in its own order within both parts."""

    items: tuple[Item, ...]
    invalid: tuple[InvalidItem, ...] = ()  # lines that say nothing usable
    cut_captions: int = 0  # of items: beyond `CAPTION_CHARACTERS`


class _BadLineError(Exception):
    """Why a line cannot be used: reason, message."""


def read(path: Path) -> Manifest:
    """Read a list; lines that cannot be used are in its `invalid`.

    Raises:
        SettingsError: no such file, or not one line of it can be used.
    """
    path = Path(path)
    if path.is_dir():
        raise SettingsError(
            f"{path} is a folder, not a list of clips: make one with "
            f"`python -m audiox_core captions {path} --output manifest.jsonl`."
        )
    items: dict[Item, int] = {}
    invalid, cut = [], 0
    try:
        for number, data in _lines(path):
            try:
                item, was_cut = _item(_record(data), number)
                if item in items:
                    raise _BadLineError("duplicate", f"It says what line {items[item]} says.")
                items[item] = number
                cut += was_cut
            except _BadLineError as error:
                reason, message = error.args
                invalid.append(InvalidItem(f"line {number}", number, reason, message))
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}. Give a list of clips as JSON lines."
        ) from error
    if not items:
        first = f" Line {invalid[0].line}: {invalid[0].message}" if invalid else ""
        raise SettingsError(
            f"{path} has no line that can be used, of {len(invalid)}.{first} Expected JSON lines "
            'such as {"path": "a.mp4", "caption": "a dog barks"}.'
        )
    return Manifest(tuple(items), tuple(invalid), cut)


def write(path: Path, items: Iterable[Item]) -> int:
    """Write a list, whole or not at all; returns how many lines. `read` gives the items back.

    Raises:
        MediaError: the file cannot be written.
    """
    count = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for item in items:
            file.write(json_line(item.to_record()))
            count += 1
    return count


def json_line(record: Mapping[str, Any]) -> str:
    """A record as a line for people to read; a file name that is no text becomes escapes."""
    line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
    return line if _is_text(line) else json.dumps(record) + "\n"


def cut_caption(caption: str) -> str:
    """At most `CAPTION_CHARACTERS`, up to the end of a word."""
    if len(caption) <= CAPTION_CHARACTERS:
        return caption
    head = caption[: CAPTION_CHARACTERS + 1]
    return head.rpartition(" ")[0] or head[:CAPTION_CHARACTERS]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not empty, with their numbers."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            whole = line
            while not line.endswith(b"\n") and (line := file.readline(LONGEST_LINE)):
                whole = whole[:1]  # too long: its start is kept as something that is no JSON
            if number == 1:
                whole = whole.removeprefix(b"\xef\xbb\xbf")
            if whole.strip():
                yield number, whole


def _record(data: bytes) -> dict[str, Any]:
    try:
        record = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _BadLineError("no JSON", "It is no UTF-8 text.") from error
    except (ValueError, RecursionError) as error:
        raise _BadLineError("no JSON", f"It is no JSON ({str(error)[:80]}).") from error
    if not isinstance(record, dict):
        raise _BadLineError("no JSON", "It is JSON, but no object with names and values.")
    return {str(name).lower(): value for name, value in record.items()}


def _item(record: Mapping[str, Any], line: int) -> tuple[Item, bool]:
    """A record in any words, and whether its caption was too long."""
    path, video_path, name = (_text(record, key) for key in ("path", "video_path", "id"))
    if not (path or video_path or name):
        raise _BadLineError("no media named", f"It has none of {_all('path', 'video_path', 'id')}.")
    caption = _text(record, "caption")
    if not _is_text(caption):
        raise _BadLineError("bad caption", "Its caption holds half a character.")
    short = cut_caption(caption)
    item = Item(
        path=path or video_path,
        video_path=video_path if path and path != video_path else "",
        id=name if not (path or video_path) else "",
        start=_start(record),
        caption=short,
        task=_task(record),
        line=line,
    )
    return item, short != caption


def _value(record: Mapping[str, Any], key: str) -> Any:
    """What a record says of something, under any of its names; None where nothing."""
    values = (record.get(name) for name in NAMES[key])
    return next((value for value in values if value not in (None, "")), None)


def _text(record: Mapping[str, Any], key: str) -> str:
    value = _value(record, key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _BadLineError(f"bad {key}", f"Its {key} is {_short(value)}: expected a text.")
    return value


def _start(record: Mapping[str, Any]) -> float | None:
    value = _value(record, "start")
    if value is None:
        return None
    try:
        start = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        start = float("nan")
    if not isfinite(start) or not 0 <= start <= LATEST_START:
        raise _BadLineError(
            "bad start", f"Its start is {_short(value)}: expected seconds from 0 on."
        )
    return start


def _task(record: Mapping[str, Any]) -> Task | None:
    text = _text(record, "task")
    try:
        return Task.parse(text) if text else None
    except SettingsError as error:
        raise _BadLineError("bad task", str(error)) from error


def _all(*keys: str) -> str:
    return ", ".join(name for key in keys for name in NAMES[key])


def _short(value: Any) -> str:
    return repr(value)[:60]


def _is_text(text: str) -> bool:
    """Whether it can be written and tokenised: a lone half of a pair cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
