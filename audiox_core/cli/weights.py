"""`fetch`, `inspect`, `convert`: getting weights, looking into them, keeping them in one file."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..hub import LICENCE, MODELS, Job, fetch, plan
from ..hub.models import HubError


def add_fetch(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the subparsers; returns its parser."""
    parser = commands.add_parser(
        "fetch",
        help="download released weights into models/",
        description="Download released weights from Hugging Face. A run that was broken off is "
        "taken up where it ended; every file is compared with the hub's hash.",
        epilog="Honours HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE. " + LICENCE,
    )
    parser.set_defaults(run=run_fetch)
    parser.add_argument("models", nargs="+", metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument(
        "--dir", type=Path, default=Path("models"), metavar="FOLDER",
        help="the models folder; the default is models",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and sizes")
    return parser


def run_fetch(options: argparse.Namespace) -> int:
    """Download, or say what would be downloaded."""
    if options.dry_run:
        for job in _plan(options.models, options.dir):
            print(_sentence(job))
        if any(MODELS[name].non_commercial for name in options.models):
            print(LICENCE)
        return 0
    try:
        paths = fetch(options.models, options.dir, on_job=lambda job: print(_sentence(job)))
    except KeyboardInterrupt:
        print("Stopped; the next run goes on from here.", file=sys.stderr)
        return 130
    for path in paths:
        print(f"whole: {path}")
    needs = {need for name in options.models for need in MODELS[name].needs} - {*options.models}
    for name in sorted(needs):
        model = MODELS[name]
        if not all((options.dir / model.folder / file.name).is_file() for file in model.files):
            print(f"Still needed: python -m audiox_core fetch {name}{_dir(options.dir)}")
    return 0


def _plan(names: list[str], folder: Path) -> list[Job]:
    try:
        return plan(names, folder)
    except HubError as error:
        jobs = plan(names, folder, ask=False)
        print(f"Without sizes, as the hub could not be asked: {error}")
        return jobs


def _sentence(job: Job) -> str:
    size = "size unknown" if job.size is None else _bytes(job.size)
    if job.done:
        state = "is there"
    elif job.have:
        state = f"goes on after {_bytes(job.have)}"
    else:
        state = "to fetch"
    return f"{job.model.repo} {job.file.path} -> {job.target} ({size}, {state})"


def _bytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e3:,.0f} kB"


def _dir(folder: Path) -> str:
    return "" if folder == Path("models") else f" --dir {folder}"
