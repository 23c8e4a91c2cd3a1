"""Commands as a user types them, each in a process of its own: what a start takes."""

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from ...errors import SettingsError

ROOT = Path(__file__).parents[3]
_OUTPUT = ("--seed", "1", "--output", "sound.wav")
_RAIN = ("generate", "--prompt", "rain", "--seconds")

# arguments and exit code, by case and way
COMMANDS: dict[str, dict[str, tuple[tuple[str, ...], int]]] = {
    "command": {
        "help": (("--help",), 0),
        "refused request": ((*_RAIN, "-1", *_OUTPUT), 2),
        "missing file": (("generate", "--video", "missing.mp4", *_OUTPUT), 2),
    },
    "ten seconds": {"ours": ((*_RAIN, "10", *_OUTPUT), 0)},
    "demo": {"ours": (("demo", "--seed", "1", "--output", "demo"), 0)},
}


def cpu_of_commands() -> float:
    """CPU seconds of all commands that have ended; the wall clock on Windows.

    A busy machine changes it little, so two commits can be compared there.
    """
    if os.name == "nt":
        return time.perf_counter()
    times = os.times()
    return times.children_user + times.children_system


def run_command(tree: Path, case: str, way: str) -> None:
    """Run a command of a checkout and wait for its end; what it writes is discarded.

    Args:
        tree: the checkout.
        case, way: of `COMMANDS`.

    Raises:
        SettingsError: it ends with another exit code.
    """
    arguments, expected = COMMANDS[case][way]
    with TemporaryDirectory(prefix="audiox-") as folder:
        written = ("sound.wav", "demo")
        given = [
            str(Path(folder) / a) if i and a in written else a for i, a in enumerate(arguments)
        ]
        line = [sys.executable, "-m", "audiox_core", *given]
        done = subprocess.run(line, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode != expected:
        error = (done.stderr.strip() or "no message").splitlines()[-1]
        raise SettingsError(f"`{' '.join(arguments)}` ended with {done.returncode}: {error}")
