"""`lab sources`: the recordings behind the sounds of the embedded model, as a Markdown table."""

import argparse
from typing import Any

HEAD = "| kind | recordings | seconds | bandwidth, kHz |\n|---|---|---|---|"


def add_sources(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the subparsers; returns its parser."""
    parser = commands.add_parser(
        "sources",
        help="list the recordings behind the sounds",
        description="List how many recordings each kind of sound of `train --data effects` has, "
        "how long they are, and up to which frequency they reach. Needs the packages with the "
        "recordings; the error names them.",
    )
    parser.set_defaults(run=run_sources)
    return parser


def run_sources(_options: argparse.Namespace) -> int:
    """Print the table."""
    print(sources_table())
    return 0


def sources_table() -> str:
    """A row for each kind of sound. Raises SettingsError: the packages are not installed."""
    from ..effects.labels import LABELS
    from ..effects.recordings import stored
    from ..effects.sounds import RECORDINGS

    rows = [HEAD]
    for label in LABELS:
        found = [stored(name) for name in RECORDINGS.get(label, ())]
        seconds = ", ".join(f"{samples / rate:.2f}" for samples, rate in found)
        bands = dict.fromkeys(f"{rate / 2_000:g}" for _, rate in found)
        made = f"{len(found)} | {seconds} | {', '.join(bands)}" if found else "synthesised | |"
        rows.append(f"| {label} | {made} |")
    return "\n".join(rows)
