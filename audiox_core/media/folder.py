"""The media files of a folder, by their suffixes."""

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

VIDEO_SUFFIXES = (
    ".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts",
    ".flv", ".wmv", ".3gp", ".ogv",
)  # fmt: skip
SOUND_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma", ".w64",
)  # fmt: skip
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif")
MEDIA_SUFFIXES = VIDEO_SUFFIXES + SOUND_SUFFIXES


def media_files(
    folder: Path,
    suffixes: Collection[str],
    on_error: Callable[[str, str], None] = lambda *_: None,
) -> Iterator[Path]:
    """Media files below a folder, sorted by name; follows links, skips hidden files.

    Args:
        folder: where to look; a folder that several links lead to is visited once.
        suffixes: of the files, in lower case.
        on_error: called with the name of each folder that cannot be read, and the reason.
    """

    def tell(error: OSError) -> None:
        on_error(str(error.filename), error.strerror or str(error))

    visited = set()
    for place, folders, names in os.walk(folder, onerror=tell, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes:
                yield Path(place) / name
