"""What a batch renders: the files of a folder or a glob, or the lines of a manifest, one by one.

Nothing is held but the item in hand, so a manifest of millions of lines takes no memory.
"""

import glob
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..errors import SettingsError
from ..media.folder import IMAGE_SUFFIXES, MEDIA_SUFFIXES, SOUND_SUFFIXES, media_files
from ..paths import local_path

MANIFESTS, PROMPTS = (".jsonl", ".ndjson", ".json"), ".txt"
LONGEST_LINE = 1 << 20  # characters
ALL_SUFFIXES = frozenset((*MEDIA_SUFFIXES, *IMAGE_SUFFIXES))


@dataclass(frozen=True)
class Item:
    """One thing to render: the settings that it names itself."""

    number: int  # its place, from 1
    fields: Mapping[str, Any] = field(default_factory=dict)  # as in a line of a manifest
    folder: Path = Path()  # what relative paths of inputs refer to
    name: str = ""  # of its file below the source, without the suffix; "" if there is none
    problem: str = ""  # why it cannot be used


class Items(Protocol):
    """A source of items; each iteration reads it again from its beginning."""

    def __iter__(self) -> Iterator[Item]:
        """The items in their order."""
        ...

    def count(self) -> int:
        """How many there are."""
        ...


@dataclass(frozen=True)
class Files:
    """Media files: videos and images get a sound, sounds are a prompt or are varied."""

    pattern: str  # a folder, a file, or a glob
    sound_as: str = "audio"  # the field for sounds: "audio" or "init_audio"
    without: Path | None = None  # a folder whose files are left out: that of the outputs

    def __iter__(self) -> Iterator[Item]:
        """The files by name."""
        base = fixed_folder(self.pattern) or Path()
        for number, path in enumerate(self._paths(), 1):
            inside = path.relative_to(base) if path.is_relative_to(base) else Path(path.name)
            name = inside.with_suffix("").as_posix()
            yield Item(number, {self._field(path): str(path.absolute())}, name=name)

    def count(self) -> int:
        """How many files there are now."""
        return sum(1 for _ in self._paths())

    def _paths(self) -> Iterator[Path]:
        if Path(self.pattern).is_file():
            return iter([Path(self.pattern)])
        if Path(self.pattern).is_dir():
            paths = media_files(Path(self.pattern), ALL_SUFFIXES)
        else:
            names = glob.iglob(self.pattern, recursive=True)  # noqa: PTH207  it may be absolute
            found = (Path(name) for name in sorted(names))
            paths = (p for p in found if p.suffix.lower() in ALL_SUFFIXES and p.is_file())
        without = None if self.without is None else self.without.absolute()
        return (p for p in paths if without is None or not p.absolute().is_relative_to(without))

    def _field(self, path: Path) -> str:
        suffix = path.suffix.lower()
        if suffix in SOUND_SUFFIXES:
            return self.sound_as
        return "image" if suffix in IMAGE_SUFFIXES else "video"


def fixed_folder(source: str) -> Path | None:
    """The folder that a source of files names: itself, or a glob's before its first placeholder.

    Returns:
        The folder; None for a single file.
    """
    if Path(source).is_dir():
        return Path(source)
    if not glob.has_magic(source) or Path(source).exists():
        return None
    fixed = []
    for part in Path(source).parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return Path(*fixed)


@dataclass(frozen=True)
class Manifest:
    """The lines of a file that are not empty: JSON objects, or in a `.txt` one prompt each."""

    path: Path

    def __iter__(self) -> Iterator[Item]:
        """The lines in their order."""
        folder, prompts = self.path.absolute().parent, self.path.suffix.lower() == PROMPTS
        for number, line in enumerate(self._lines(), 1):
            if prompts:
                yield Item(number, {"prompt": line.decode("utf-8-sig", "replace")}, folder)
            else:
                fields, problem = _parsed(line)
                yield Item(number, fields, folder, problem=problem)

    def count(self) -> int:
        """How many lines there are, empty ones left out."""
        return sum(1 for _ in self._lines())

    def _lines(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                if text := line.strip():
                    yield text


def _parsed(line: bytes) -> tuple[Mapping[str, Any], str]:
    """The fields of a line, and why it has none."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {}, f"The line is not JSON ({str(error)[:80]}): write one object a line."
    if not isinstance(fields, dict):
        return {}, 'The line is not a JSON object: write one such as {"prompt": "rain"}.'
    return fields, ""


def open_items(source: str, *, sound_as: str = "audio", without: Path | None = None) -> Items:
    """The items of a folder, a media file, a glob or a manifest.

    Args:
        source: as on the command line.
        sound_as: what a sound in a folder is: "audio" for a prompt, "init_audio" to vary it.
        without: the folder of the outputs, if it lies in the source.

    Raises:
        SettingsError: there is nothing to render.
    """
    path = local_path(source)
    suffix = path.suffix.lower()
    if path.is_file() and suffix in (*MANIFESTS, PROMPTS):
        if next(iter(manifest := Manifest(path)), None) is None:
            raise SettingsError(f"{source} contains no line: choose another source.")
        return manifest
    if not path.exists() and not glob.has_magic(source):
        raise SettingsError(
            f"There is no folder or file {source}: pass a folder, a glob in quotes, a manifest of "
            "JSON lines, or a text file of prompts."
        )
    if path.is_file() and suffix not in ALL_SUFFIXES:
        raise SettingsError(
            f"{path.name} is neither a media file nor a manifest: a manifest ends in .jsonl, a "
            "list of prompts in .txt."
        )
    files = Files(str(path), sound_as, without)
    if next(iter(files), None) is None:
        raise SettingsError(f"{source} contains no video, image or sound: choose another source.")
    return files
