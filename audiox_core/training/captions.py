"""A manifest for a folder of media: captions from a table, from file names, or from a captioner."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from ..errors import MediaError
from ..media.probe import MediaInfo, probe_media
from ..media.video import read_frame
from .caption_table import Row
from .captioner import CaptionerError
from .invalid_items import InvalidItem, Report
from .manifest import Item, Task, cut_caption
from .media_folder import MediaFolder, media_files

_APART = re.compile(r"[\W_]+")
_COUNTER = re.compile(r"\d+|take\d*|copy", re.IGNORECASE)  # what numbers files and says nothing


@dataclass(frozen=True)
class Settings:
    """Where captions come from, the first that has one, and what becomes of them."""

    rows: Sequence[Row] = ()
    captioner: Callable[[Tensor], str] | None = None  # a picture `3 h w` to a sentence
    from_names: bool = False
    task: Task | None = None  # None: text and, where there is one, picture
    start_every: float | None = None  # seconds; None: one item a file, for all of its targets


@dataclass
class Captioned:
    """A manifest's items and what became of everything else."""

    items: list[Item] = field(default_factory=list)
    skipped: list[InvalidItem] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)  # items by where their caption is from
    cut: int = 0  # captions that were too long

    def report(self) -> Report:
        """The counts, and the list of what is in no item."""
        notes = {"captions cut": self.cut} if self.cut else {}
        return Report(len(self.items) + len(self.skipped), tuple(self.skipped), notes)


class _SkipError(Exception):
    """Why a file becomes no item: reason, message."""


def find_files(folder: Path) -> tuple[list[Path], list[InvalidItem]]:
    """Media files below a folder, and folders that cannot be looked into."""
    closed: list[InvalidItem] = []
    files = media_files(
        folder, lambda name, why: closed.append(InvalidItem(name, 0, "closed folder", f"{why}."))
    )
    return list(files), closed


def caption_files(
    folder: Path, files: Sequence[Path], settings: Settings,
    on_file: Callable[[], None] = lambda: None,
) -> Captioned:  # fmt: skip
    """Items for media files, in their order.

    Args:
        folder: that the items' paths are relative to.
        files: below it, of `find_files`.
        settings: where captions come from.
        on_file: called after each file.

    Raises:
        CaptionerError: the captioner does not work on pictures.
        SettingsError: no such folder.
    """
    made = Captioned()
    rows = _rows_by_file(MediaFolder(folder), settings.rows, made)
    taken: dict[tuple[int, int], str] = {}
    for file in dict.fromkeys([*files, *rows]):
        name = _name(file, folder)
        try:
            status = file.stat()
            known = taken.get((status.st_dev, status.st_ino))
            if known is not None:
                raise _SkipError("same file", f"It is {known} under another name.")
            _add(made, file, name, rows.get(file, []), settings)
            taken[status.st_dev, status.st_ino] = name
        except _SkipError as skip:
            made.skipped.append(InvalidItem(name, 0, *skip.args))
        except OSError as error:
            made.skipped.append(InvalidItem(name, 0, "unreadable media", f"{error.strerror}."))
        on_file()
    return made


def caption_from_name(stem: str) -> str:
    """`dog_barking-03` -> `dog barking`; empty where the name is only a number."""
    text = stem.encode("utf-8", "ignore").decode()  # a name need not be text
    words = [word for word in _APART.split(text) if word]
    while words and _COUNTER.fullmatch(words[-1]):
        words.pop()
    while words and words[0].isdigit():
        words.pop(0)
    return " ".join(words)


def starts_every(seconds: float, step: float) -> list[float]:
    """Where items begin in a sound: every `step` seconds; half of a step is worth an item."""
    count = int(seconds / step + 0.5)
    return [index * step for index in range(max(count, 1))]


def _rows_by_file(
    folder: MediaFolder, rows: Sequence[Row], made: Captioned
) -> dict[Path, list[Row]]:
    """Captions of a table by the file that they mean."""
    found: dict[Path, list[Row]] = defaultdict(list)
    for row in rows:
        try:
            path, start = folder.find(row.media, row.start)
        except MediaError as error:
            made.skipped.append(InvalidItem(row.media, row.line, "missing media", f"{error}."))
            continue
        found[path].append(replace(row, start=start))
    return dict(found)


def _add(made: Captioned, file: Path, name: str, rows: Sequence[Row], settings: Settings) -> None:
    """All items of a file."""
    contents = _contents(file)
    task = settings.task or Task("text+video" if contents.has_picture else "text", "audio")
    if "video" in task.needs and not contents.has_picture:
        raise _SkipError("no picture", f"{task} needs one, and the file has sound alone.")
    drafts = [(row.start, row.caption, "table") for row in rows]
    if not drafts:
        step = settings.start_every
        starts = [None] if step is None else starts_every(contents.seconds, step)
        for start in starts:
            drafts.append((start, *_caption(made, file, contents, start, settings)))
    if "text" in task.needs and not all(caption for _, caption, _ in drafts):
        raise _SkipError("no caption", "Nothing that was asked for has one.")
    for start, caption, source in drafts:
        short = cut_caption(caption)
        made.cut += short != caption
        made.items.append(Item(path=name, start=start, caption=short, task=task))
        made.sources[source] += 1


def _contents(file: Path) -> MediaInfo:
    try:
        contents = probe_media(file)
    except MediaError as error:
        raise _SkipError("unreadable media", str(error)) from error
    if not contents.has_sound:
        raise _SkipError("no sound", "There is nothing to learn from in a silent film.")
    if not contents.seconds:
        raise _SkipError("empty sound", "Its sound track has no length.")
    return contents


def _caption(
    made: Captioned, file: Path, contents: MediaInfo, start: float | None, settings: Settings
) -> tuple[str, str]:
    """A caption and where it is from; empty where there is none."""
    if settings.captioner is not None and contents.has_picture:
        begin, length = start or 0.0, contents.seconds
        end = length if start is None else min(length, begin + settings.start_every)
        try:
            picture = read_frame(file, (begin + end) / 2)
        except MediaError as error:
            raise _SkipError("unreadable picture", str(error)) from error
        try:
            return settings.captioner(picture), "captioner"
        except CaptionerError as error:
            if not made.sources["captioner"]:  # it never did, so it never will
                raise
            raise _SkipError("captioner failed", str(error)) from error
    name = caption_from_name(file.stem) if settings.from_names else ""
    return (name, "file name") if name else ("", "nothing")


def _name(file: Path, folder: Path) -> str:
    """As a list names a file: below the folder, or absolute."""
    inside = file.is_relative_to(folder)
    return file.relative_to(folder).as_posix() if inside else str(file.absolute())
