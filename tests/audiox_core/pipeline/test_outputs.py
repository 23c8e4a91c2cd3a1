"""The names of the files of a request."""

from pathlib import Path

import pytest

from audiox_core.errors import SettingsError
from audiox_core.pipeline.outputs import check_suffix, output_paths
from audiox_core.pipeline.request import Request


def test_each_of_several_takes_has_a_number():
    assert output_paths(Path("a/b.wav"), 1) == [Path("a/b.wav")]
    assert output_paths(Path("a/b.wav"), 2) == [Path("a/b-1.wav"), Path("a/b-2.wav")]


@pytest.mark.parametrize(
    ("output", "request_", "message"),
    [
        ("a.txt", Request("rain"), "unsupported suffix"),
        ("a.mp4", Request("rain"), "pass the video"),
        ("a.wav", Request(video="a.mp4", keep_original=0.0), "is an audio file"),
    ],
)
def test_a_suffix_that_does_not_fit_the_inputs_is_refused(output, request_, message):
    with pytest.raises(SettingsError, match=message):
        check_suffix(Path(output), request_)
