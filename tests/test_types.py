"""The types of the core hold: `pyright` is the command, pyproject.toml its settings."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ERRORS_PER_1000 = 5  # code lines; comments that silence the checker count as errors
SILENCED = ("type: ignore", "pyright: ignore", "pyright: basic", "no_type_check")


@pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="pyright is not installed")
def test_pyright_finds_few_errors_in_the_core(measure_lines):
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if not run.stdout.startswith("{"):  # its first run downloads it from the npm registry
        pytest.skip(f"pyright cannot run here: {(run.stderr or run.stdout).strip()[-200:]}")
    found = [
        f"{Path(error['file']).relative_to(ROOT)}:{error['range']['start']['line'] + 1} "
        f"{error['message'].splitlines()[0]}"
        for error in json.loads(run.stdout)["generalDiagnostics"]
        if error["severity"] == "error"
    ]
    for path in sorted((ROOT / "audiox_core").rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if any(comment in line for comment in SILENCED):
                found.append(f"{path.relative_to(ROOT)}:{number} {line.strip()}")
    sizes = measure_lines.measure(ROOT)
    lines = sum(size for path, size in sizes.items() if path.startswith("audiox_core/"))
    assert len(found) <= ERRORS_PER_1000 * lines / 1_000, "\n".join(found)
