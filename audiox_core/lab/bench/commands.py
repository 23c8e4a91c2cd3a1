"""Commands as a user types them, each in a process of its own: what a start takes."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ...errors import SettingsError

ROOT = Path(__file__).parents[3]
_OUTPUT = ("--seed", "1", "--output", "sound.wav")

# arguments and exit code, by case and way
COMMANDS: dict[str, dict[str, tuple[tuple[str, ...], int]]] = {
    "command": {
        "help": (("--help",), 0),
        "refused request": (("generate", "--prompt", "rain", "--seconds", "-1", *_OUTPUT), 2),
    },
    "ten seconds": {"ours": (("generate", "--prompt", "rain", "--seconds", "10", *_OUTPUT), 0)},
}


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
        given = [folder + "/" + a if a.endswith(".wav") else a for a in arguments]
        line = [sys.executable, "-m", "audiox_core", *given]
        done = subprocess.run(line, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode != expected:
        error = (done.stderr.strip() or "no message").splitlines()[-1]
        raise SettingsError(f"`{' '.join(arguments)}` ended with {done.returncode}: {error}")
