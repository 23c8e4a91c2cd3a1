"""The same cases at two commits, measured in turns: is the code slower than it was?

Each commit is measured by its own `bench --json`, in a process of its own: the older one in a
temporary git worktree, the newer one in the files as they are. Rounds alternate, so that both
see the same load of the machine.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from ...errors import SettingsError

ROOT = Path(__file__).parents[3]
OURS = "ours"  # the way that counts, of a case with several; if there is none, all count

Times = dict[tuple[str, str], list[float]]  # seconds of each round, by case and way


@dataclass(frozen=True)
class Comparison:
    """One case at both commits."""

    name: str
    before: float  # seconds, median over the rounds
    after: float

    @property
    def ratio(self) -> float:
        """Time now as a share of the time before."""
        return self.after / self.before

    def row(self, limit: float) -> str:
        """A line for people."""
        verdict = f"slower than the limit of {limit:g}" if self.ratio > limit else "ok"
        times = f"{self.before * 1e3:9.1f} ms ->{self.after * 1e3:9.1f} ms"
        return f"{self.ratio:6.3f} x {times}  {self.name}: {verdict}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "case": self.name,
            "before_seconds": self.before,
            "after_seconds": self.after,
            "ratio": round(self.ratio, 4),
        }


def compare(
    commit: str,
    arguments: Sequence[str],
    *,
    rounds: int,
    on_round: Callable[[int], object] = lambda _: None,
) -> list[Comparison]:
    """Measure a commit and the files as they are.

    Args:
        commit: anything that git resolves to a commit with a `bench` command.
        arguments: of `bench`, the same for both.
        rounds: how often each is measured.
        on_round: called after each round with its number, from 1.

    Raises:
        SettingsError: this is no git checkout, there is no such commit, a measurement fails, or
            no case is common to both.
    """
    times: list[Times] = [defaultdict(list), defaultdict(list)]
    with _worktree(commit) as old:
        trees = [old, ROOT]
        for number in range(rounds):
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                for case, seconds in _measure(trees[side], arguments):
                    times[side][case].append(seconds)
            on_round(number + 1)
    before, after = times
    common = [case for case in after if case in before]
    if not common:
        raise SettingsError(
            f"No case of {commit} has the same name now: there is nothing to compare."
        )
    return [
        Comparison(f"{case}: {way}", median(before[case, way]), median(after[case, way]))
        for case, way in common
    ]


def _measure(tree: Path, arguments: Sequence[str]) -> Iterator[tuple[tuple[str, str], float]]:
    """Median seconds of each case, as the `bench` of a checkout reports them."""
    command = ["lab", "bench"] if (tree / "audiox_core" / "lab").is_dir() else ["bench"]
    line = [sys.executable, "-m", "audiox_core", *command, "--json", *arguments]
    done = subprocess.run(line, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        error = (done.stderr.strip() or "no message").splitlines()[-1]
        raise SettingsError(f"`{' '.join(command)}` failed in {tree}: {error}")
    lines = json.loads(done.stdout)["lines"]
    with_ours = {entry["case"] for entry in lines if entry["way"] == OURS}
    for entry in lines:
        if entry["case"] not in with_ours or entry["way"] == OURS:
            yield (entry["case"], entry["way"]), entry["median_seconds"]


@contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    """A checkout of a commit, there as long as the block runs."""
    with TemporaryDirectory(prefix="audiox-bench-") as folder:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--detach", "--quiet", str(tree), commit)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> None:
    try:
        subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise SettingsError("--against needs git, which was not found.") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip() or "no message").splitlines()[-1]
        raise SettingsError(f"--against needs a git checkout with that commit: {said}") from error
