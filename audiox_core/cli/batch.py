"""`batch`: many requests with one model, resumable."""

import argparse

from ..arguments import FILE, add_output
from .generate import add_settings
from .options import add_json

CPUS_PER_WORKER = 4


def add_batch(parser: argparse.ArgumentParser) -> None:
    """Add the options of `batch` to its parser."""
    parser.description = (
        "Render many requests with one model. Finished items are recorded and skipped by the next "
        "run; a failure is recorded, and the rest is rendered."
    )
    parser.epilog = (
        "The options of inputs, sampling, mix and model are the defaults of all items; a line of "
        "a manifest may set each of them by its name. The exit code is 0 if every item has its "
        "output, 1 if some failed."
    )
    stopped = "Stopped; finished items are recorded, and the same command continues."
    parser.set_defaults(run=run_batch, stopped=stopped)
    _add_items(parser.add_argument_group("items and outputs"))
    _add_engine(parser.add_argument_group("how to run"))
    add_settings(parser)


def _add_items(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "source",
        metavar="SOURCE",
        help="a folder of videos, images and sounds; a glob in quotes; a manifest of JSON lines "
        "(.jsonl), each with the fields of a request; or a list of prompts (.txt)",
    )
    add_output(group, "folder of the outputs, and of the ledger batch.jsonl", "FOLDER")
    add(
        "--name",
        default="{folder}/{stem}",
        metavar="PATTERN",
        help="name of the outputs, from {stem}, {folder}, {number}, {prompt} and {seed}; a suffix "
        "such as .wav chooses the format; the default is {folder}/{stem} with the suffix of the "
        "video, or .wav",
    )
    add("--ledger", **FILE, help="the record of what is done; the default is in the output folder")
    add(
        "--redo",
        choices=("failed", "all"),
        help="render again what failed in an earlier run, or everything",
    )
    add(
        "--verify",
        action="store_true",
        help="recognize inputs by their content, not by their modification time; use it in every "
        "run of a batch, or in none",
    )
    text = "replace existing files that this batch did not make"
    add("--force", action="store_true", help=text)


def _add_engine(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    only = group.add_mutually_exclusive_group().add_argument
    text = "check the lines and count what is to do; nothing is rendered or written"
    only("--dry-run", action="store_true", help=text)
    text = "render a few items, and say how many hours and gigabytes the rest takes"
    only("--estimate", action="store_true", help=text)
    add(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="render on a cluster of Ray; without an address, on the one that runs on this machine "
        "or one that is started for this run",
    )
    add(
        "--cpus-per-worker",
        type=int,
        default=CPUS_PER_WORKER,
        metavar="N",
        help=f"cores of a Ray worker without a GPU; the default is {CPUS_PER_WORKER}",
    )
    add_json(group)


def run_batch(options: argparse.Namespace) -> int:
    """Run `batch`."""
    from .batch_run import run

    return run(options)
