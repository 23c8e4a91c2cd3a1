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
from typing import Any, NamedTuple

from ...errors import SettingsError
from .commands import COMMANDS, ROOT, cpu_of_commands, run_command
from .names import MULTIPLES

OURS = "ours"  # the way that counts, of a case with several; if there is none, all count
NO_CASE = "No case"  # begins the error of a bench without the chosen cases
_LITTLE = 1 << 20  # bytes: of less no ratio is made


class Measured(NamedTuple):
    """One case at one commit."""

    seconds: float
    peak: int = 0  # bytes
    multiple: float = 0.0  # of the time of its baseline, if it has one

    @staticmethod
    def median(rounds: Sequence["Measured"]) -> "Measured":
        """The median of rounds."""
        return Measured(*(median(numbers) for numbers in zip(*rounds, strict=True)))


Case = tuple[str, str]  # its name, and the way to do it
Rounds = dict[Case, list[Measured]]


@dataclass(frozen=True)
class Comparison:
    """One case at both commits."""

    name: str
    before: Measured
    after: Measured

    @property
    def ratio(self) -> float:
        """Time now as a share of the time before."""
        return self.after.seconds / self.before.seconds

    @property
    def memory_ratio(self) -> float | None:
        """Peak memory now as a share of that before; None where it is too little to count."""
        if max(self.before.peak, self.after.peak) < _LITTLE:
            return None
        return self.after.peak / max(1, self.before.peak)

    def worse(self, limit: float) -> str:
        """What is worse by more than a limit; empty if nothing is."""
        allowed = MULTIPLES.get(self.name.partition(":")[0])
        if allowed is not None and self.after.multiple > allowed:
            return f"{self.after.multiple:.2f} x its baseline, above the limit of {allowed:g}"
        if self.ratio > limit:
            return f"slower than the limit of {limit:g}"
        more = self.memory_ratio is not None and self.memory_ratio > limit
        return f"more memory than the limit of {limit:g}" if more else ""

    def row(self, limit: float) -> str:
        """A line for people."""
        times = f"{self.before.seconds * 1e3:9.1f} ms ->{self.after.seconds * 1e3:9.1f} ms"
        memory = "" if self.memory_ratio is None else f"{self.memory_ratio:.3f} x memory"
        verdict = self.worse(limit) or "ok"
        return f"{self.ratio:6.3f} x {times}  {memory:15}  {self.name}: {verdict}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "case": self.name,
            "before_seconds": self.before.seconds,
            "after_seconds": self.after.seconds,
            "ratio": round(self.ratio, 4),
            "before_peak_bytes": self.before.peak,
            "after_peak_bytes": self.after.peak,
            "memory_ratio": self.memory_ratio and round(self.memory_ratio, 4),
            "multiple_of_baseline": self.after.multiple or None,
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
    sides: list[Rounds] = [defaultdict(list), defaultdict(list)]
    with _worktree(commit) as old:
        trees = [old, ROOT]
        for number in range(rounds):
            both: list[dict[Case, Measured]] = [{}, {}]
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                both[side] = dict(_measure(trees[side], arguments))
            # an older bench does not know these cases, but the commands themselves exist
            for case in both[1].keys() - both[0].keys():
                if case[0] in COMMANDS:
                    both[0][case] = _measure_command(old, *case)
            for side in (0, 1):
                for case, measured in both[side].items():
                    sides[side][case].append(measured)
            on_round(number + 1)
    before, after = sides
    if not (found := [*_comparisons(commit, before, after)]):
        raise SettingsError(
            f"No case of {commit} has the same name now: there is nothing to compare."
        )
    return found


def _comparisons(commit: str, before: Rounds, after: Rounds) -> Iterator[Comparison]:
    """Of each case that can be judged, in the order in which they were measured."""
    for case, rounds in after.items():
        name, now = ": ".join(case), Measured.median(rounds)
        if case in before:
            yield Comparison(name, Measured.median(before[case]), now)
        elif case[0] in MULTIPLES:  # of its baseline now, whatever the commit has
            yield Comparison(f"{name} (not in {commit})", now, now)


def _measure_command(tree: Path, case: str, way: str) -> Measured:
    began = cpu_of_commands()
    run_command(tree, case, way)
    return Measured(cpu_of_commands() - began)


def _measure(tree: Path, arguments: Sequence[str]) -> Iterator[tuple[Case, Measured]]:
    """Median seconds and peak memory of each case, as the `bench` of a checkout reports them."""
    command = ["lab", "bench"] if (tree / "audiox_core" / "lab").is_dir() else ["bench"]
    line = [sys.executable, "-m", "audiox_core", *command, "--json", *arguments]
    done = subprocess.run(line, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        error = (done.stderr.strip() or "no message").splitlines()[-1]
        if NO_CASE in error:  # an older commit may not have it
            return
        raise SettingsError(f"`{' '.join(command)}` failed in {tree}: {error}")
    lines = json.loads(done.stdout)["lines"]
    with_ours = {entry["case"] for entry in lines if entry["way"] == OURS}
    for entry in lines:
        if entry["case"] not in with_ours or entry["way"] == OURS:
            multiple = entry.get("ratio") or 0.0
            measured = Measured(entry["median_seconds"], entry["peak_bytes"], multiple)
            yield (entry["case"], entry["way"]), measured


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
