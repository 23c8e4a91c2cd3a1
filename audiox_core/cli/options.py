"""What several commands have in common: their options, how sizes are printed."""

import logging
import math
from pathlib import Path
from typing import Any

from ..arguments import FILE, path_argument
from ..checkpoint.released_files import checkpoint_path
from ..variants import VARIANTS


def checkpoint_argument(text: str) -> Path:
    """The type of an option for a checkpoint: a file, or the name of a downloaded model."""
    return checkpoint_path(path_argument(text))


CHECKPOINT: dict[str, Any] = {"type": checkpoint_argument, "metavar": "FILE|MODEL"}
SECONDS: dict[str, Any] = {"type": float, "metavar": "SECONDS"}
DECIBELS: dict[str, Any] = {"type": float, "metavar": "DB"}
SHARE: dict[str, Any] = {"type": float, "metavar": "0..1"}


def add_verbosity(parser: Any) -> None:
    """Add `--quiet` and `--verbose`, which set the level of messages."""
    parser.set_defaults(level=logging.INFO)
    group = parser.add_argument_group("messages").add_mutually_exclusive_group()
    group.add_argument(
        "--quiet",
        dest="level",
        action="store_const",
        const=logging.WARNING,
        help="print no progress and no notes, only warnings, errors and the result",
    )
    group.add_argument(
        "--verbose",
        dest="level",
        action="store_const",
        const=logging.DEBUG,
        help="print versions, settings, the time of every message, and where an error comes from",
    )


def add_json(parser: Any, what: str = "a summary") -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON")


def add_variant(parser: Any) -> None:
    """Add the options for weights files that do not name their variant or sizes."""
    parser.add_argument(
        "--variant",
        choices=VARIANTS,
        help="which model the weights are, if MMDiT, Base and Turbo cannot be told apart",
    )
    parser.add_argument(
        "--config",
        **FILE,
        help="the release's config.json; the default is the one beside the weights, if any",
    )


def size_text(nbytes: int) -> str:
    """A number of bytes for people, such as 1.05 GB."""
    units = ("B", "kB", "MB", "GB")
    power = min(int(math.log(nbytes, 1000)), 3) if nbytes else 0
    return f"{nbytes / 1000**power:.{2 if power else 0}f} {units[power]}"
