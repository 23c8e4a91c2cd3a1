"""`lab examples`: the clips of the node AudioX Example, rendered again."""

import argparse
from typing import Any

from ...arguments import add_output
from ...media.examples import CLIPS
from ...paths import new_folder
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
    add_output(parser, "created if missing; existing clips are replaced", "FOLDER")
    return parser


def run_examples(options: argparse.Namespace) -> int:
    """Render the clips."""
    from ..examples import render_examples

    bar = count_bar("rendering", "clip", len(CLIPS))
    with new_folder(options.output), bar:
        paths = render_examples(options.output, on_clip=bar.update)
    print("\n".join(map(str, paths)))
    return 0
