"""Options that commands of every folder have."""

from argparse import ArgumentParser
from pathlib import Path

import pytest

from audiox_core.arguments import FILE, FOLDER, add_device, add_force, add_output


@pytest.fixture
def parser():
    made = ArgumentParser()
    made.add_argument("input", **FILE)
    made.add_argument("--dir", **FOLDER)
    add_output(made, "what is written")
    add_device(made)
    add_force(made)
    return made


def test_shared_options_are_parsed_into_their_types(parser):
    found = parser.parse_args(["~/a", "-o", "b", "--dir", "c", "--device", "cuda:1"])
    paths = (Path("~/a").expanduser(), Path("b"), Path("c"))
    assert (found.input, found.output, found.dir) == paths
    assert (found.device, found.force) == ("cuda:1", False)
    assert parser.parse_args(["a", "-o", "b", "--force"]).force


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("https://example.org/a -o b", "argument FILE: https://example.org/a is a URL"),
        ("a -o s3://bucket/b", "argument --output/-o: s3://bucket/b is a URL"),
        ("a -o b --device gpu", "argument --device: Unknown device 'gpu': use cpu, cuda"),
        ("a", "the following arguments are required: --output/-o"),
    ],
)
def test_what_cannot_be_used_is_refused_by_the_parser(parser, capsys, line, says):
    with pytest.raises(SystemExit):
        parser.parse_args(line.split())
    assert says in capsys.readouterr().err
