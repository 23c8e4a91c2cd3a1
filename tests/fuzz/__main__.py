"""`python -m tests.fuzz --count N [--seed S] [--only media|weights]`: damaged files, a table.

The exit code is 1 if any file led to a fault: an exception that is no AudioXError, a message of
more than one line or with control characters, a hang, too much memory, files or handles left.
"""

import argparse
import importlib
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from .isolated import Result, Worker

KINDS = ("media", "weights")


def run(module: str, count: int, seed: int, first: int, keep: Path | None) -> list[Result]:
    """Make and examine mutants one after another; faults are printed when they are found."""
    mutants = importlib.import_module(f"{__package__}.{module}").mutants
    results = []
    with tempfile.TemporaryDirectory() as name, Worker(module) as worker:
        for path in mutants(count, seed, Path(name), first):
            result = worker.check(path)
            results.append(result)
            if result.faults:
                print(f"{module} --seed {seed} --first {_number(path)} {path.name!r}", flush=True)
                print("\n".join(grouped(result.faults)), flush=True)
                if keep is not None:
                    shutil.copy(path, keep / f"{seed}-{_number(path):05d}{path.suffix}")
            path.unlink(missing_ok=True)
    return results


def grouped(faults: Iterable[str]) -> list[str]:
    """A line for each kind of fault, with the steps that have it."""
    steps = defaultdict(list)
    for fault in faults:
        step, _, what = fault.partition(": ")
        steps[what.partition(": ")[0] if "the message" in what else what].append(step)
    return [f"    {', '.join(names)}: {what}" for what, names in steps.items()]


def table(results: Iterable[Result]) -> list[str]:
    """A line for each kind of file."""
    kinds = defaultdict(list)
    for result in results:
        kinds[result.path.name.split("-")[1].partition(".")[0]].append(result)
    lines = [f"{'kind':34} {'files':>6} {'faults':>6} {'slowest':>9} {'peak':>8}"]
    for kind, found in sorted(kinds.items()):
        faulty = sum(bool(result.faults) for result in found)
        slowest = max(result.seconds for result in found)
        peak = max(result.peak for result in found) / 1e9
        lines.append(f"{kind:34} {len(found):6} {faulty:6} {slowest:7.1f} s {peak:5.2f} GB")
    return lines


def _number(path: Path) -> int:
    return int(path.name.split("-")[0])


def main() -> int:
    """Run the campaign; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="files of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copies of files with faults")
    options = parser.parse_args()
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    faults = 0
    for module in [options.only] if options.only else KINDS:
        began = time.monotonic()
        results = run(module, options.count, options.seed, options.first, options.keep)
        print("\n".join(table(results)))
        faulty = sum(bool(result.faults) for result in results)
        minutes = (time.monotonic() - began) / 60
        print(f"{module}: {len(results)} files, {faulty} with faults, {minutes:.1f} min\n")
        faults += faulty
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
