"""The options of `captions`."""

import pytest

from audiox_core.cli import build_parser
from audiox_core.training.tasks import GIVEN, TARGETS, Task


def test_the_task_is_parsed_and_the_help_text_lists_what_it_can_be():
    parser, commands = build_parser()
    given = ["captions", "media", "-o", "m.jsonl", "--task", "video_condition-music"]
    assert parser.parse_args(given).task == Task("video", "music")
    assert all(word in commands["captions"].epilog for word in (*GIVEN, *TARGETS))


@pytest.mark.parametrize("extra", [[], ["-o", "m.jsonl", "--check", "m.jsonl"]])
def test_a_manifest_is_either_written_or_checked(extra, capsys):
    with pytest.raises(SystemExit):
        build_parser()[0].parse_args(["captions", "media", *extra])
    assert "--check" in capsys.readouterr().err
