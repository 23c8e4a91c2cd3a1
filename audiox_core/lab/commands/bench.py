"""`lab bench`: time and memory of every step of the pipeline, or of two commits."""

import argparse
import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...arguments import add_device
from ...errors import SettingsError
from ...limits import DTYPE_NAMES
from ...progress_bar import count_bar
from ...variants import VARIANTS
from ..bench.names import NAMES

DEPTH = 3  # layers: seconds a step on two cores, and a checkpoint of 2 GB
RATIO = 1.03  # of time, above which a case counts as slower
PASSED_ON = ("size", "depth", "variant", "only", "rounds", "budget", "steps", "device", "dtype")


def add_bench(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the subparsers; returns its parser."""
    parser = commands.add_parser(
        "bench",
        help="measure time and memory on this machine, or compare two commits",
        description="Measure every step of the pipeline with random inputs, next to a plain "
        "implementation of it. Ratios are medians over rounds in which both run "
        "alternately; memory is the peak of all tensors, without the weights.",
    )
    parser.set_defaults(run=run_bench, runs_alone=True)
    parser.add_argument(
        "--size",
        choices=("toy", "released"),
        default="toy",
        help="the embedded model (the default, seconds), or released sizes (minutes; writes a "
        "checkpoint of 2 GB or more into the system's folder for temporary files)",
    )
    parser.add_argument(
        "--depth",
        type=int,
        help=f"number of transformer layers at released size; the default is {DEPTH}, the full "
        "models have 24",
    )
    parser.add_argument(
        "--variant",
        choices=VARIANTS,
        default="audiox",
        help="model to measure at released size; the default is audiox",
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="NAME",
        help=f"run only cases with this in their name: {', '.join(NAMES)}",
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="maximum number of rounds; the default is 5"
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="no new round of a case starts after this time; the default is 20",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=2,
        help="sampling steps of the end-to-end case; the default is 2",
    )
    add_device(parser)
    parser.add_argument(
        "--dtype",
        choices=DTYPE_NAMES,
        default="float32",
        help="data type of the transformer's weights",
    )
    parser.add_argument(
        "--against",
        metavar="COMMIT",
        help="measure this commit and the working tree alternately, --rounds times each; the "
        "exit code is 1 if a case now takes more time or memory than the limit",
    )
    parser.add_argument(
        "--ratio",
        type=float,
        default=RATIO,
        help="with --against: the allowed ratio of time and of peak memory now to before; the "
        f"default is {RATIO}",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def run_bench(options: argparse.Namespace) -> int:
    """Measure; each line is printed as soon as it is known."""
    _check(options, NAMES)
    if options.against is not None:
        return _compare(options)
    from ...checkpoint.checkpoint_file import load_checkpoint
    from ...device import DTYPES, choose_device
    from ..bench import cases, report
    from ..bench.timing import Line, measure

    device = choose_device(options.device)
    logging.getLogger(__name__.partition(".")[0]).setLevel(logging.ERROR)  # else at each load
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


def _compare(options: argparse.Namespace) -> int:
    """Compare with another commit; 1 if a case is slower now."""
    from ..bench.against import compare

    given = {name: getattr(options, name) for name in PASSED_ON}
    arguments = [f"--{name}={value}" for name, value in given.items() if value not in (None, "")]
    with count_bar("comparing", "round", options.rounds) as bar:
        found = compare(
            options.against, arguments, rounds=options.rounds, on_round=lambda _: bar.update()
        )
    worse = [case for case in found if case.worse(options.ratio)]
    if options.json:
        print(json.dumps([case.to_dict() for case in found], indent=2))
    else:
        print("\n".join(case.row(options.ratio) for case in found))
    return 1 if worse else 0


def _check(options: argparse.Namespace, names: Sequence[str]) -> None:
    """Raise SettingsError for what cannot be measured."""
    for name in ("rounds", "steps", "depth"):
        if (value := getattr(options, name)) is not None and not 1 <= value <= 1_000:
            raise SettingsError(f"--{name} is {value}: it must be 1 to 1000.")
    if not options.budget >= 0:
        raise SettingsError(f"--budget is {options.budget:g}: it must be 0 s or more.")
    if not options.ratio > 0:
        raise SettingsError(f"--ratio is {options.ratio:g}: it must be above 0.")
    if options.depth is not None and options.size == "toy":
        raise SettingsError("The depth of the embedded model is fixed: add --size released.")
    _check_cases(options.only, names)


def _check_cases(only: str, names: Sequence[str]) -> None:
    if not any(only in name for name in names):
        raise SettingsError(
            f"No case of this model has {only!r} in its name: choose from {', '.join(names)}."
        )


@contextmanager
def _weights(size: str, depth: int, variant: str) -> Iterator[Path]:
    """The file to measure, there as long as the block runs."""
    from ...checkpoint.checkpoint_file import EMBEDDED
    from ..bench.weights import write_random

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
