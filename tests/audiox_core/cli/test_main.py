"""The entry point of all commands: help, bad usage, errors of the system."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from audiox_core import __version__, cli
from audiox_core.cli.parser import CommandParser
from audiox_core.errors import SettingsError
from audiox_core.media.audio import read_audio

ROOT = Path(__file__).parents[3]
QUICK = ["--steps", "1", "--seed", "3"]


def test_without_arguments_there_is_help(run):
    for arguments in ((), ("generate",)):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "generate" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("sing",),
        ("generate", "--prompt", "rain"),
        ("generate", "--output", "a.wav", "--steps", "many"),
        ("generate", "--output", "a.wav", "--dtype", "int3"),
        ("generate", "--output", "a.wav", "--nonsense"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out, len(err)) == (2, "", 1)
    assert "error" in err[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("generat",), "did you mean generate? (see python -m audiox_core --help)"),
        (("lab", "evalute"), "did you mean evaluate? (see python -m audiox_core lab --help)"),
        (("generate", "--promt", "rain"), "arguments: --promt; did you mean --prompt? (see"),
        (("generate", "--stepps=4"), "did you mean --steps?"),
        (
            ("convert", "a", "--otput", "b"),
            "did you mean --output?",
        ),
        (("train", "lorra", "-o", "a"), "did you mean lora?"),
        (("generate", "--dtype", "flaot16"), "did you mean float16?"),
    ],
)
def test_a_mistyped_word_points_to_the_command_and_the_nearest_spelling(run, arguments, says):
    code, _, (line,) = run(*arguments)
    assert code == 2
    assert says in line


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("audiox gen", ["generate "]),
        ("audiox generate --keep", ["--keep-original "]),
        ("audiox generate --dtype bf", ["bfloat16 "]),
        ("audiox lab e", ["evaluate", "examples"]),
    ],
)
def test_the_shell_completes_commands_options_and_values(tmp_path, line, offered):
    pytest.importorskip("argcomplete", reason="no argcomplete: pip install argcomplete")
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    asked |= {"_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "out")}
    command = [sys.executable, "-m", "audiox_core"]
    subprocess.run(command, cwd=ROOT, env=os.environ | asked, check=False)
    assert sorted((tmp_path / "out").read_text().splitlines()) == offered


def test_the_version_names_what_matters_in_a_report(run):
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith(f"audiox {__version__} (Python 3.")
    assert f"torch {torch.__version__.partition('+')[0]}" in out


def test_the_module_runs_as_a_program(tmp_path):
    command = [sys.executable, "-m", "audiox_core", "generate", *QUICK]
    command += ["--prompt", "rain", "--seconds", "1", "--output", str(tmp_path / "a.wav"), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout)
    assert summary["seed"] == 3
    assert "small demo model" in summary["note"]
    assert "small demo model" in done.stderr  # the small model says what it is
    assert read_audio(tmp_path / "a.wav").shape == (2, 44_100)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            SettingsError("steps is 0: it must be 1 or more."),
            2,
            "steps is 0: it must be 1 or more.",
        ),
        (torch.OutOfMemoryError("2 GiB"), 2, "The GPU is out of memory: try fewer --seconds"),
        (MemoryError(), 2, "There is not enough memory: try fewer --seconds"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 2, "There is not enough"),
        (OSError(12, "Cannot allocate memory"), 2, "There is not enough memory"),
        (BlockingIOError(11, "Resource temporarily unavailable"), 2, "There is not enough memory"),
        (FileExistsError(17, "File exists", "out"), 2, "out is a file, not a folder"),
        (OSError(28, "No space left"), 2, "Operating system error: [Errno 28] No space left."),
        (KeyboardInterrupt(), 130, "Stopped; nothing was written."),
        (KeyboardInterrupt(15), 143, "Stopped; nothing was written."),
        (OSError(5, "Error", "a\x1b[31m"), 2, "Operating system error: [Errno 5] Error: 'a"),
    ],
    ids=repr,
)
def test_every_error_is_one_line_with_its_exit_code(run, monkeypatch, error, code, message):
    def fail(_options):
        raise error

    parser = CommandParser()
    parser.add_argument("what")
    parser.set_defaults(run=fail)
    monkeypatch.setattr(cli, "build_parser", lambda **_: (parser, {}))
    found, out, (line,) = run("rain")
    assert (found, out) == (code, "")
    assert line.startswith(f"error: {message}")
    assert line.isprintable()


def test_an_error_of_the_program_is_not_hidden(run, monkeypatch):
    parser = CommandParser()
    parser.set_defaults(run=lambda _options: 1 / 0)
    parser.add_argument("what")
    monkeypatch.setattr(cli, "build_parser", lambda **_: (parser, {}))
    with pytest.raises(ZeroDivisionError):
        run("rain")


HEAVY = {"torch", "numpy", "av", "transformers", "tokenizers", "safetensors", "einops"}
LIGHT_COMMANDS = [  # help, and what is refused by the parser or before a file is opened
    [],
    ["--help"],
    *([command, "--help"] for command in (*cli.COMMANDS, *cli.LAB)),
    *(["lab", tool, "--help"] for tool in ("bench", "evaluate", "world")),
    ["sing"],
    ["generate", "--nonsense"],
    ["generate", "--prompt", "rain"],
    ["generate", "-o", "a.wav", "--prompt", "rain", "--steps", "abc"],
    ["generate", "-o", "a.wav", "--prompt", "rain", "--dtype", "int3"],
    ["generate", "-o", "a.wav", "--prompt", "rain", "--variant", "audiox-max"],
    ["generate", "-o", "a.wav", "--prompt", "rain", "--sampler", "magic"],
    ["generate", "-o", "a.wav", "--prompt", "rain", "--seconds", "601"],
    ["generate", "-o", "a.wav", "--prompt", "rain", "--prompt-at", "4-2", "rain"],
    ["generate", "-o", "a.wav", "--prompt", "rain", "--denoise", "0.5"],
    ["generate", "-o", "a.mp4", "--prompt", "rain"],
    ["generate", "-o", "a.txt", "--prompt", "rain"],
    ["demo", "--label", "dog"],
    ["convert", "a.ckpt", "-o", "b.safetensors", "--dtype", "int3"],
    ["fetch", "nothing"],
    ["lab", "bench", "--rounds", "0"],
]


def test_help_and_refused_settings_do_not_import_what_takes_seconds(tmp_path):
    """All in one process: the first command that imports too much is named."""
    script = (
        "import sys, json\n"
        "from audiox_core.cli import main\n"
        "for arguments in json.loads(sys.argv[1]):\n"
        "    try: main(arguments)\n"
        "    except SystemExit: pass\n"
        f"    found = sorted({HEAVY!r} & set(sys.modules))\n"
        "    assert not found, f'{arguments} imports {found}'\n"
    )
    command = [sys.executable, "-c", script, json.dumps(LIGHT_COMMANDS)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
