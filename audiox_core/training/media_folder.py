"""A folder of media files: what lies in it, and which file an item of a list means."""

import os
import unicodedata
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from ..errors import MediaError, SettingsError
from ..media.probe import SOUND_SUFFIXES, VIDEO_SUFFIXES

_SUFFIXES = VIDEO_SUFFIXES + SOUND_SUFFIXES  # in this order where one id has several files

OnTrouble = Callable[[str, str], None]  # a folder's name, what the system says


def media_files(folder: Path, on_trouble: OnTrouble = lambda *_: None) -> Iterator[Path]:
    """Media files below a folder, in order of their names; links are followed, hidden ones not.

    Args:
        folder: to look in; each folder is looked into once, however many links lead to it.
        on_trouble: called for each folder that cannot be looked into.
    """

    def tell(error: OSError) -> None:
        on_trouble(str(error.filename), error.strerror or str(error))

    seen = set()
    for place, folders, names in os.walk(folder, onerror=tell, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in _SUFFIXES:
                yield Path(place) / name


class MediaFolder:
    """Files by path or by id, wherever below the folder they lie."""

    def __init__(self, folder: Path) -> None:
        """Take a folder. Raises SettingsError where it is none."""
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise SettingsError(f"There is no folder {folder}: give the one with the media files.")

    def find(self, name: str, start: float | None = None) -> tuple[Path, float | None]:
        """A file by its path below the folder, an absolute one, or the id of its video.

        Files that are called `<id>_<start>` or `<id>_<start:06d>` are pieces that were cut out
        already.

        Args:
            name: path or id.
            start: seconds within the video.

        Returns:
            The file, and where in it `start` lies.

        Raises:
            MediaError: no such file.
        """
        for spelling in (name, _composed(name), _decomposed(name)):
            if is_file(found := self.folder / spelling):
                return found, start
        if Path(name).suffix.lower() in _SUFFIXES:
            raise MediaError(f"there is no file {self.folder / name}")
        pieces = [] if start is None else [f"{name}_{start:g}", f"{name}_{int(start):06d}"]
        for stem in pieces:
            if (found := self._stems.get(_composed(stem))) is not None:
                return found, 0.0
        if (found := self._stems.get(_composed(name))) is not None:
            return found, start
        tried = ", ".join(f"{stem}.*" for stem in (*pieces, name))
        raise MediaError(f"no media file below {self.folder} is called {tried}")

    @cached_property
    def _stems(self) -> dict[str, Path]:
        """Files by their names without suffix; pictures before mere sound."""
        order = {suffix: place for place, suffix in enumerate(_SUFFIXES)}
        files = sorted(media_files(self.folder), key=lambda path: order[path.suffix.lower()])
        stems: dict[str, Path] = {}
        for path in files:
            stems.setdefault(_composed(path.stem), path)
        return stems


def is_file(path: Path) -> bool:
    """Whether there is a file, or something else to open; False for a name that none can have."""
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _decomposed(name: str) -> str:
    """As macOS spells accents: in two characters."""
    return unicodedata.normalize("NFD", name)
