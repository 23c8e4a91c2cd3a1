"""`lab examples`: the clips of the node AudioX Example, rendered again."""

import argparse
from pathlib import Path
from typing import Any

from ...media.examples import PICTURES
from ...progress_bar import count_bar


def add_examples(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the subparsers; returns its parser."""
    parser = commands.add_parser(
        "examples",
        help="render the example clips of the nodes",
        description="Render the clips that the node AudioX Example offers. Those in "
        "audiox_core/assets/examples were made by this command.",
    )
    parser.set_defaults(run=run_examples)
    parser.add_argument(
        "--output", "-o", type=Path, required=True, metavar="FOLDER", help="created if missing"
    )
    return parser


def run_examples(options: argparse.Namespace) -> int:
    """Render the clips."""
    from ..examples import render_examples

    options.output.mkdir(parents=True, exist_ok=True)
    with count_bar("rendering", "clip", len(PICTURES)) as bar:
        paths = render_examples(options.output, on_clip=bar.update)
    print("\n".join(map(str, paths)))
    return 0
