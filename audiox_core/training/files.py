"""Files that a user names: what cannot be read is refused before it is opened."""

from pathlib import Path
from stat import S_ISDIR, S_ISREG

from ..errors import SettingsError


def check_file(path: Path, expected: str, largest: int | None = None) -> None:
    """Check that a path is a regular file: reading a pipe or a device might never end.

    Args:
        path: of the file.
        expected: what to choose instead, for the message.
        largest: bytes; None: any size.

    Raises:
        SettingsError: there is no such file, it is something else, or it is too large.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SettingsError(f"{path} cannot be read: {why}. Choose {expected}.") from error
    if not S_ISREG(status.st_mode):
        what = "a folder" if S_ISDIR(status.st_mode) else "a pipe, device or socket"
        raise SettingsError(f"{path} is {what}: choose {expected}.")
    if largest is not None and status.st_size > largest:
        raise SettingsError(
            f"{path} has {status.st_size:,} bytes, but at most {largest:,} are read: choose "
            f"{expected}."
        )
