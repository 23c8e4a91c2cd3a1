"""`lab evaluate`: invalid options are refused before a model is loaded."""

import pytest

from audiox_core.cli import main


@pytest.mark.parametrize(
    "arguments",
    [
        ["--share", "0"],
        ["--share", "2"],
        ["--only", "taste"],
        ["--world", "synthetic", "--only", "order"],
        ["--plot", "figures.png"],
        ["--plot", "no/folder/e.svg"],
        ["--only", "vae", "--plot", "e.svg"],
    ],
    ids=" ".join,
)
def test_an_invalid_evaluation_is_a_one_line_error(arguments, capsys):
    assert main(["lab", "evaluate", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
