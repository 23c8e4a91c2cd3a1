"""Paths as people write them, and folders that a failed run does not leave behind."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import SettingsError

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}", re.IGNORECASE)  # `Path` makes one slash of two


def local_path(path: str | Path) -> Path:
    """The path of a file on this machine.

    Args:
        path: `~` at its beginning is the home folder.

    Raises:
        SettingsError: a URL, or not a path.
    """
    if not isinstance(path, str | Path):
        raise SettingsError(
            f"The path has the type {type(path).__name__}: pass the name of a file."
        )
    if match := _URL.match(str(path)):
        raise SettingsError(
            f"{path} is a URL: pass the path alone, without {match[0]}."
            if match[1].lower() == "file"
            else f"{path} is a URL: download the file first, then pass its path."
        )
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # no such user
        raise SettingsError(f"{path} has no home folder: write the whole path.") from error


@contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """Create a folder and its parents for a block; if that fails, those still empty are removed."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # the first that is not empty
            for folder in missing:
                folder.rmdir()
        raise
