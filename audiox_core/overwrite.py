"""Existing files are overwritten only by a user who says so."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import SettingsError, one_line

YES = ("y", "yes")


def check_overwrite(paths: Sequence[Path], *, force: bool) -> None:
    """Ask on a terminal whether existing files are overwritten; elsewhere that is an error.

    Args:
        paths: to write.
        force: they are overwritten without a question.

    Raises:
        SettingsError: a file exists and must not be overwritten.
    """
    there = [path for path in paths if os.path.lexists(path)]
    if force or not there:
        return
    others = f" and {len(there) - 1} more" if len(there) > 1 else ""
    names = one_line(f"{there[0]}{others}")
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        raise SettingsError(
            f"{names} already exists: add --force to overwrite it, or choose another --output."
        )
    # on stderr, for stdout is the result's
    sys.stderr.write(f"{names} already exists. Overwrite it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in YES:
        raise SettingsError(f"{names} was kept: choose another --output.")
