"""What several commands have in common: their options, how sizes are printed."""

import math
from pathlib import Path
from typing import Any

from ..checkpoint.released_files import checkpoint_path
from ..variants import VARIANTS

FILE: dict[str, Any] = {"type": Path, "metavar": "FILE"}
CHECKPOINT: dict[str, Any] = {"type": checkpoint_path, "metavar": "FILE|MODEL"}
FOLDER: dict[str, Any] = {"type": Path, "metavar": "FOLDER"}
SECONDS: dict[str, Any] = {"type": float, "metavar": "SECONDS"}
DECIBELS: dict[str, Any] = {"type": float, "metavar": "DB"}
SHARE: dict[str, Any] = {"type": float, "metavar": "0..1"}


def add_output(parser: Any, what: str, metavar: str = "FILE") -> None:
    """Add `--output`, which is required."""
    parser.add_argument("--output", "-o", type=Path, required=True, metavar=metavar, help=what)


def add_device(parser: Any) -> None:
    """Add `--device`."""
    parser.add_argument(
        "--device", help="cpu, cuda, cuda:1, mps; the default is the best available"
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
