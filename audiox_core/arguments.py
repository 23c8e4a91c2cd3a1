"""Options that commands of every folder have: files, folders and the device."""

import argparse
from pathlib import Path
from typing import Any

from .errors import SettingsError
from .limits import check_device_name
from .paths import local_path


def path_argument(text: str) -> Path:
    """The type of an option that names a file or folder; `~` is the home folder."""
    try:
        return local_path(text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def device_argument(text: str) -> str:
    """The type of `--device`: a mistyped name is refused at once."""
    try:
        check_device_name(text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


FILE: dict[str, Any] = {"type": path_argument, "metavar": "FILE"}
FOLDER: dict[str, Any] = {"type": path_argument, "metavar": "FOLDER"}


def add_output(parser: Any, what: str, metavar: str = "FILE", *, required: bool = True) -> None:
    """Add `--output`."""
    parser.add_argument(
        "--output", "-o", type=path_argument, required=required, metavar=metavar, help=what
    )


def add_device(parser: Any) -> None:
    """Add `--device`."""
    parser.add_argument(
        "--device",
        type=device_argument,
        help="cpu, cuda, cuda:1, mps; the default is the best available",
    )


def add_force(parser: Any) -> None:
    """Add `--force`."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="overwrite existing files; without it, the command asks on a terminal, and elsewhere "
        "it is an error",
    )
