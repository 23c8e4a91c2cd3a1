"""`python -m tests.gpu`: what the models take on one GPU, in at most eight minutes.

Models of released size with random weights are built on the device. Cases run in the order of
their importance; none begins after `--minutes`. On a CPU use `--toy`.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from . import decoding, device, encoders, end_to_end, report, sound, steps
from .bench import DTYPES, Bench, Row, say
from .models import Zoo


def golden(bench: Bench) -> None:
    """The golden cases; imported late, so that a missing package costs these alone."""
    from . import parity

    parity.run(bench)


def cases(bench: Bench, zoo: Zoo) -> dict[str, Callable[[], None]]:
    """Every case by its name, the most important first."""
    return {
        "limits": partial(device.limits, bench),
        "step": partial(steps.run, bench, zoo),
        "turbo": partial(sound.turbo, bench, zoo),
        "decode": partial(decoding.run, bench, zoo),
        "weights": partial(zoo.sizes, bench),
        "encoders": partial(encoders.run, bench, zoo),
        "v1": partial(sound.v1, bench, zoo),
        "takes": partial(sound.takes, bench, zoo),
        "end to end": partial(end_to_end.run, bench, zoo),
        "trained VAE": partial(decoding.embedded, bench),
        "parity": partial(golden, bench),
        "long": partial(sound.long, bench, zoo),
        "load": partial(end_to_end.loading, bench, zoo),
        "profile": partial(steps.waits, bench, zoo),
        "compile": partial(steps.compiled, bench, zoo),
        "compile VAE": partial(decoding.compiled, bench, zoo),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases; 1 if one of them failed or none gave a number."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--toy", action="store_true", help="tiny models; for a test on a CPU")
    parser.add_argument("--minutes", type=float, default=7.0, help="after which no case begins")
    parser.add_argument("--only", action="append", default=[], metavar="CASE", help="repeatable")
    parser.add_argument(
        "--precision", action="append", default=[], choices=[*DTYPES], help="repeatable; else all"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if not options.toy and not torch.cuda.is_available():
        parser.error("there is no GPU: use --toy to try the command on a CPU")
    kind = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    machine = device.describe(kind) | {"sizes": "toy" if options.toy else "released"}

    def show(row: Row) -> None:
        say(report.line(row))

    bench = Bench(kind, options.toy, 60 * options.minutes, show, chosen=tuple(options.precision))
    zoo = Zoo(kind, toy=options.toy)
    chosen = cases(bench, zoo)
    if unknown := set(options.only) - chosen.keys():
        parser.error(f"no case {unknown.pop()!r}: choose from {', '.join(chosen)}")
    say(", ".join(f"{key} {value}" for key, value in machine.items()))
    say(report.HEADER)
    for name, run in chosen.items():
        if options.only and name not in {"limits", *options.only}:
            continue
        if bench.left < 0:
            bench.add(Row(name, note="not run: the time was spent"))
            continue
        with torch.no_grad(), bench.guard(name):
            run()
        bench.free()
        say(f"-- {name}: {bench.seconds - bench.left:.0f} s since the start")
        if options.json:
            report.write_json(options.json, machine, bench.rows)
        if options.markdown:
            report.write_markdown(options.markdown, machine, bench.rows)
    failed = sum(row.failed for row in bench.rows)
    say(f"{len(bench.rows)} rows, {failed} failed")
    return 0 if not failed and any(row.seconds is not None for row in bench.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
