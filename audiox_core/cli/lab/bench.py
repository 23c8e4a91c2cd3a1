"""`bench`: time and memory of every step of the road, beside the plain way to do it."""

import argparse
import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...checkpoint import EMBEDDED, load_checkpoint
from ...device import choose_device
from ...errors import SettingsError
from ...variants import VARIANTS
from ..generate import DTYPES

DEPTH = 3  # layers: seconds a step on two cores, and a checkpoint of 2 GB


def add_bench(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the subparsers; returns its parser."""
    parser = commands.add_parser(
        "bench",
        help="measure time and memory on this machine",
        description="Measure every step of the road, with random weights, beside the plain way to "
        "do it. A ratio is the median over rounds in which both ran in turns; memory is the most "
        "that tensors held at a time, weights not counted.",
    )
    parser.set_defaults(run=run_bench, runs_alone=True)
    parser.add_argument(
        "--size", choices=("toy", "released"), default="toy",
        help="the embedded model (the default, seconds), or released sizes (minutes; writes a "
        "checkpoint of 2 GB or more into the system's folder for temporary files)",
    )  # fmt: skip
    parser.add_argument(
        "--depth", type=int,
        help=f"layers of the transformer at released size; the default is {DEPTH}, whole is 24",
    )  # fmt: skip
    parser.add_argument(
        "--variant", choices=VARIANTS, default="audiox",
        help="whose sizes, at released size; the default is audiox",
    )  # fmt: skip
    parser.add_argument(
        "--only", default="", metavar="NAME",
        help="cases with this in their name; an unknown word lists all",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="at most; the default is 5")
    parser.add_argument(
        "--budget", type=float, default=20.0, metavar="SECONDS",
        help="after which a case begins no further round; the default is 20",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, default=2, help="of the end to end run")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps; the default is the best there is")
    parser.add_argument(
        "--dtype", choices=DTYPES, default="float32", help="of the transformer's weights"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def run_bench(options: argparse.Namespace) -> int:
    """Measure; each line is printed when it is there."""
    from ...lab.bench import cases, report
    from ...lab.bench.timing import Line, measure

    _check(options)
    device = choose_device(options.device)
    logging.getLogger(__package__.partition(".")[0]).setLevel(logging.ERROR)  # else at each load
    depth = options.depth or DEPTH
    settings = {"size": options.size, "dtype": options.dtype}
    if options.size == "released":
        settings |= {"variant": options.variant, "depth": depth}
    lines: list[Line] = []
    with _weights(options.size, depth, options.variant) as path:
        checkpoint = load_checkpoint(path, dtype=DTYPES[options.dtype], device=device)
        _check_cases(options.only, cases.names(checkpoint.config))
        if not options.json:
            print(", ".join(f"{k} {v}" for k, v in (settings | report.machine(device)).items()))
            print(report.header())
        for group in cases.groups(checkpoint, steps=options.steps, only=options.only):
            measured = measure(group, rounds=options.rounds, budget=options.budget, device=device)
            lines += measured
            if not options.json:
                print("\n".join(map(report.row, measured)), flush=True)
    if options.json:
        print(json.dumps(report.summary(settings, lines, device), indent=2))
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raise SettingsError for what cannot be measured."""
    from ...lab.bench.cases import NAMES

    for name in ("rounds", "steps", "depth"):
        if (value := getattr(options, name)) is not None and not 1 <= value <= 1_000:
            raise SettingsError(f"--{name} {value} was given: it is 1 to 1000.")
    if not options.budget >= 0:
        raise SettingsError(f"--budget {options.budget:g} was given: it is 0 s or more.")
    if options.depth is not None and options.size == "toy":
        raise SettingsError("The embedded model has its own depth: add --size released.")
    _check_cases(options.only, NAMES)


def _check_cases(only: str, names: Sequence[str]) -> None:
    if not any(only in name for name in names):
        raise SettingsError(
            f"No case of this model has {only!r} in its name: choose from {', '.join(names)}."
        )


@contextmanager
def _weights(size: str, depth: int, variant: str) -> Iterator[Path]:
    """The file to measure, there as long as the block runs."""
    from ...lab.bench.weights import write_random

    if size == "toy":
        yield EMBEDDED
        return
    sizes = VARIANTS[variant]
    config = replace(sizes, note="", dit=replace(sizes.dit, depth=depth))
    # the file may still be mapped when it is removed, which not every system allows
    with tempfile.TemporaryDirectory(prefix="audiox-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "random.safetensors"
        write_random(path, config)
        yield path
