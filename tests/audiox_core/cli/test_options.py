"""Options that several commands have."""

import logging
from argparse import ArgumentParser
from pathlib import Path

import pytest

from audiox_core.cli.options import add_json, add_variant, add_verbosity


@pytest.fixture
def parser():
    made = ArgumentParser()
    add_json(made)
    add_variant(made)
    add_verbosity(made)
    return made


def test_shared_options_are_parsed_into_their_types(parser):
    found = parser.parse_args(["--variant", "audiox-turbo", "--config", "c"])
    assert (found.config, found.json, found.variant) == (Path("c"), False, "audiox-turbo")
    assert "print a summary as JSON" in parser.format_help()


@pytest.mark.parametrize(
    ("line", "level"),
    [("", logging.INFO), ("--quiet", logging.WARNING), ("--verbose", logging.DEBUG)],
)
def test_a_command_is_quiet_or_verbose(parser, line, level):
    assert parser.parse_args(line.split()).level == level
