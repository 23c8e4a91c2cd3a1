"""The rules of pyproject.toml hold; `ruff check` and `ruff format` are the commands."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_has_nothing_to_say(command):
    ruff = [sys.executable, "-m", "ruff", *command, str(ROOT)]
    run = subprocess.run(ruff, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
