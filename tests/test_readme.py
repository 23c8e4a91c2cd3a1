"""What the README shows is what runs."""

import re
import shlex
import shutil
from pathlib import Path

import av
import pytest

from audiox_core.cli import build_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines()
]
COMMANDS = [part for line in SHELL for part in line.split(" && ")]


def test_the_python_example_makes_a_soundtrack_in_five_lines(clips, tmp_path, monkeypatch):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len([line for line in example.splitlines() if line]) <= 5
    shutil.copy(clips / "bikes.mp4", tmp_path / "bikes.mp4")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    with av.open("bikes-with-sound.mp4") as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python -m audiox_core")])
def test_commands_parse(command):
    parser, _ = build_parser()
    words = shlex.split(command)[3:]
    assert words == ["generate", "--help"] or parser.parse_args(words)


def test_every_option_is_in_the_table():
    _, commands = build_parser()
    options = {o for a in commands["generate"]._actions for o in a.option_strings if o[:2] == "--"}
    assert [option for option in sorted(options - {"--help"}) if f"`{option}" not in README] == []


def test_ci_runs_the_test_command():
    (test_command,) = (line for line in SHELL if line.endswith("&& pytest"))
    (ci_command,) = re.findall(r"pip install .*pytest", (ROOT / ".ci/run").read_text())
    assert ci_command.replace(" -q ", " ") == test_command


@pytest.mark.parametrize("path", re.findall(r"`((?:\w+/)*\w+\.(?:py|txt))`", README))
def test_named_files_exist(path):
    folders = [ROOT, ROOT / "audiox_core", *(p for p in (ROOT / "audiox_core").iterdir())]
    assert any((folder / path).is_file() for folder in folders)
