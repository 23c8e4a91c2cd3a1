"""A manifest for a folder of media: captions from a table, a captioner, or file names."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from torch import Tensor

from ..errors import MediaError, SettingsError
from ..media.folder import MEDIA_SUFFIXES, media_files
from ..media.probe import MediaInfo, probe_media
from ..media.video import read_frame
from .captioner import CaptionerError
from .clips import InvalidItem
from .invalid_items import Report
from .manifest import LONGEST_LINE, NAMES, Item, Manifest, collect, cut_caption, seconds_of
from .media import MediaFolder, sound_problem
from .tasks import Task

_SEPARATORS = re.compile(r"[\W_]+")
_COUNTER = re.compile(r"\d+|take\d*|copy", re.IGNORECASE)  # numbers a file and describes nothing
_DELIMITERS = "\t;,"
_MEDIA = {name for key in ("path", "video_path", "id") for name in NAMES[key]}
_NAMES = {*_MEDIA, *NAMES["caption"], *NAMES["start"]}  # of columns that are read


@dataclass(frozen=True)
class Settings:
    """Sources of captions, the first that has one counts, and how items are made."""

    table: Manifest = field(default_factory=Manifest)  # of `read_table`
    captioner: Callable[[Tensor], str] | None = None  # a picture `3 h w` to a sentence
    from_names: bool = False
    task: Task | None = None  # None: text, and video if there is a picture
    start_every: float | None = None  # seconds; None: one item a file, for all of its targets


@dataclass
class Captioned:
    """The items of a manifest, and what became of everything else."""

    items: list[Item] = field(default_factory=list)
    skipped: list[InvalidItem] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)  # items by the source of their caption
    cut: int = 0  # captions that were too long

    def report(self) -> Report:
        """The counts, and the list of what is in no item."""
        cut = {"captions cut": self.cut} if self.cut else {}
        return Report(len(self.items) + len(self.skipped), tuple(self.skipped), cut)


class _SkipError(Exception):
    """Why a file becomes no item: reason, message."""


def read_table(path: Path) -> Manifest:
    """Captions of a CSV table, as items of a manifest.

    If the table has a header, columns are found by its names, those of a manifest. Else they are
    path or id, caption and optionally start, or, as in vggsound.csv, id, start, caption.

    Raises:
        SettingsError: no such file, no UTF-8 text, or no column of captions.
    """
    path = Path(path)
    try:
        if not path.is_file():  # reading a pipe might never end
            raise ValueError("there is no such file")
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(file.readline(LONGEST_LINE))
            file.seek(0)
            reader = csv.reader(iter(partial(file.readline, LONGEST_LINE), ""), delimiter=delimiter)
            lines = [([cell.strip() for cell in cells], reader.line_num) for cells in reader]
            lines = [line for line in lines if any(line[0])]
    except (OSError, ValueError, csv.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"{path} cannot be read as a table ({why}): use a CSV file in UTF-8 with the "
            "columns path, caption and optionally start."
        ) from error
    if not lines:
        raise SettingsError(f"{path} is an empty table: it needs the columns path and caption.")
    head, has_header = _columns(lines[0][0], path)
    records = ((n, dict(zip(head, cells, strict=False))) for cells, n in lines[has_header:])
    named = ((n, {k: record[k] for k in record if k in _NAMES}) for n, record in records)
    return collect(named, needs_caption=True)


def _delimiter(line: str) -> str:
    """A tab if there is one; else the first of the others, since captions hold commas, too."""
    found = [mark for mark in _DELIMITERS if mark in line]
    return "\t" if "\t" in found else min(found, key=line.index, default=",")


def _columns(cells: Sequence[str], path: Path) -> tuple[list[str], bool]:
    """What each column is, as a manifest calls it, and whether the first line is a header."""
    head = [cell.lower() for cell in cells]
    has_header = sum(name in _NAMES for name in head) >= 2
    if not has_header:
        starts = [n for n in (1, 2) if len(cells) > 2 and seconds_of(cells[n]) is not None]
        head = ["path", "start", "caption"] if starts == [1] else ["path", "caption", "start"]
        head = head if starts else head[:2]
    if len(cells) < 2 or not all(set(head) & names for names in (_MEDIA, {*NAMES["caption"]})):
        raise SettingsError(
            f"{path} has the columns {', '.join(cells)[:80]}: expected path (or id), caption and "
            "optionally start."
        )
    return head, has_header


def find_files(folder: Path) -> tuple[list[Path], list[InvalidItem]]:
    """Media files below a folder, and folders that cannot be read."""
    closed: list[InvalidItem] = []
    files = media_files(
        folder,
        MEDIA_SUFFIXES,
        lambda name, why: closed.append(InvalidItem(name, 0, "closed folder", f"{why}.")),
    )
    return list(files), closed


def caption_files(
    folder: Path,
    files: Sequence[Path],
    settings: Settings,
    on_file: Callable[[], object] = lambda: None,
) -> Captioned:
    """Items for media files, in their order.

    Args:
        folder: that the items' paths are relative to.
        files: below it, of `find_files`.
        settings: sources of captions.
        on_file: called after each file.

    Raises:
        CaptionerError: the captioner does not work on pictures.
        SettingsError: no such folder.
    """
    made = Captioned(skipped=[*settings.table.invalid], cut=settings.table.cut_captions)
    rows = _rows_by_file(MediaFolder(folder), settings.table.items, made)
    taken: dict[tuple[int, int], str] = {}
    for file in dict.fromkeys([*files, *rows]):
        inside = file.is_relative_to(folder)
        name = file.relative_to(folder).as_posix() if inside else str(file.absolute())
        try:
            status = file.stat()
            known = taken.get((status.st_dev, status.st_ino))
            if known is not None:
                raise _SkipError("same file", f"It is the same file as {known}.")
            _add(made, file, name, rows.get(file, []), settings)
            taken[status.st_dev, status.st_ino] = name
        except _SkipError as skip:
            made.skipped.append(InvalidItem(name, 0, *skip.args))
        except (MediaError, OSError) as error:
            why = str(getattr(error, "strerror", None) or error).rstrip(".")
            made.skipped.append(InvalidItem(name, 0, "unreadable media", f"{why}."))
        on_file()
    return made


def caption_from_name(stem: str) -> str:
    """`dog_barking-03` -> `dog barking`; empty if the name is only a number."""
    text = stem.encode("utf-8", "ignore").decode()  # a name need not be text
    words = [word for word in _SEPARATORS.split(text) if word]
    while words and _COUNTER.fullmatch(words[-1]):
        words.pop()
    while words and words[0].isdigit():
        words.pop(0)
    return " ".join(words)


def starts_every(seconds: float, step: float) -> list[float]:
    """Where items start in a sound: every `step` seconds, the last with at least half a step."""
    count = int(seconds / step + 0.5)
    return [index * step for index in range(max(count, 1))]


def _rows_by_file(
    folder: MediaFolder, rows: Sequence[Item], made: Captioned
) -> dict[Path, list[Item]]:
    """Captions of a table by the file that they belong to."""
    found: dict[Path, list[Item]] = defaultdict(list)
    for row in rows:
        media = row.path or row.id
        try:
            path, start = folder.find(media, row.start)
            found[path].append(replace(row, start=start))
        except MediaError as error:
            made.skipped.append(InvalidItem(media, row.line, "missing media", f"{error}."))
    return dict(found)


def _add(made: Captioned, file: Path, name: str, rows: Sequence[Item], settings: Settings) -> None:
    """All items of a file."""
    contents = probe_media(file)
    if problem := sound_problem(contents):
        raise _SkipError(*problem)
    task = settings.task or Task("text+video" if contents.has_picture else "text", "audio")
    if "video" in task.needs and not contents.has_picture:
        raise _SkipError(
            "no picture", f"{task} needs a video or an image, but the file has only audio."
        )
    for row in rows:
        if (row.start or 0) >= contents.seconds:
            message = f"Its start is {row.start:g} s, but the sound ends at {contents.seconds:g} s."
            made.skipped.append(InvalidItem(name, row.line, "bad start", message))
    drafts = [(r.start, r.caption, "table") for r in rows if (r.start or 0) < contents.seconds]
    if not rows:
        step = settings.start_every
        for start in [None] if step is None else starts_every(contents.seconds, step):
            drafts.append((start, *_caption(made, file, contents, start, settings)))
    if "text" in task.needs and not all(caption for _, caption, _ in drafts):
        raise _SkipError("no caption", "None of the chosen sources has a caption for it.")
    for start, caption, source in drafts:
        short = cut_caption(caption)
        made.cut += short != caption
        made.items.append(Item(path=name, start=start, caption=short, task=task))
        made.sources[source] += 1


def _caption(
    made: Captioned, file: Path, contents: MediaInfo, start: float | None, settings: Settings
) -> tuple[str, str]:
    """A caption and its source; empty if there is none."""
    if settings.captioner is not None and contents.has_picture:
        begin, step, end = start or 0.0, settings.start_every, contents.seconds
        end = end if step is None else min(end, begin + step)
        try:
            return settings.captioner(read_frame(file, (begin + end) / 2)), "captioner"
        except CaptionerError as error:
            if not made.sources["captioner"]:  # it never worked, so it never will
                raise
            raise _SkipError("captioner failed", str(error)) from error
    name = caption_from_name(file.stem) if settings.from_names else ""
    return (name, "file name") if name else ("", "nothing")
