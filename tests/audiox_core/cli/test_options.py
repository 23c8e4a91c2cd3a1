"""Options that several commands have."""

from argparse import ArgumentParser
from pathlib import Path

from audiox_core.cli.options import FILE, add_device, add_json, add_output, add_variant


def test_shared_options_are_parsed_into_their_types():
    parser = ArgumentParser()
    parser.add_argument("input", **FILE)
    add_output(parser, "what is written")
    add_device(parser)
    add_json(parser)
    add_variant(parser)
    found = parser.parse_args(["a", "-o", "b", "--variant", "audiox-turbo", "--config", "c"])
    assert (found.input, found.output, found.config) == (Path("a"), Path("b"), Path("c"))
    assert (found.device, found.json, found.variant) == (None, False, "audiox-turbo")
    assert "print a summary as JSON" in parser.format_help()
