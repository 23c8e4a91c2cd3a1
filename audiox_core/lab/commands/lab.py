"""`lab`: what makes and measures the embedded model; most users never need it."""

import argparse

from .bench import add_bench
from .evaluate import add_evaluate
from .examples import add_examples
from .sources import add_sources
from .world import add_world


def add_lab(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Add the subcommands of `lab` to its parser; returns their parsers."""
    parser.description = (
        "Tools around the embedded model and the code: time and memory, the quality of the "
        "embedded model, and the rendered clips that it was trained on."
    )
    tools = parser.add_subparsers(
        title="tools", metavar="TOOL", required=True, parser_class=type(parser)
    )
    return [add(tools) for add in (add_bench, add_evaluate, add_examples, add_sources, add_world)]
