"""`captions`: a manifest of the clips in a folder, or a check of one."""

import argparse
import os

from ..arguments import FILE, FOLDER, add_device, add_force
from ..training.tasks import GIVEN, TARGETS, Task
from .options import SECONDS

MOST_WORKERS = 64


def add_captions(parser: argparse.ArgumentParser) -> None:
    """Add the options of `captions` to its parser."""
    parser.description = (
        "Write a manifest of the videos and sounds in a folder, for training. Captions come from "
        "the first of these sources that has one: table, captioner, file name."
    )
    parser.epilog = f"Tasks are <{'|'.join(GIVEN)}>_condition-<{'|'.join(TARGETS)}>."
    parser.set_defaults(run=run_captions)
    add = parser.add_argument
    add("folder", **FOLDER, help="folder with media files; subfolders are included")
    made = parser.add_mutually_exclusive_group(required=True)
    made.add_argument("--output", "-o", **FILE, help="the manifest to write, as JSON lines")
    made.add_argument(
        "--check", **FILE, help="read every clip of a manifest as training does; list invalid ones"
    )
    add("--csv", **FILE, help="CSV table: columns path (or id), caption and optionally start")
    add(
        "--model",
        metavar="NAME_OR_FOLDER",
        help="an image captioner for transformers; it reads the middle frame of a video",
    )
    add("--ask", metavar="TEXT", help="the question for a captioner that answers questions")
    add("--from-names", action="store_true", help="dog_barking-03.mp4 is captioned 'dog barking'")
    add(
        "--task",
        type=Task.parse,
        metavar="TASK",
        help="task of all items; the default is text+video_condition-audio, and for files without "
        "video text_condition-audio",
    )
    add(
        "--start-every",
        **SECONDS,
        help="create an item every so many seconds, each with its own caption; by default each "
        "file is one item, and training takes a clip every ten seconds of it",
    )
    add_device(parser)
    add(
        "--workers",
        type=int,
        default=min(os.cpu_count() or 1, MOST_WORKERS),
        metavar="N",
        help="number of clips that --check reads at a time; the default is one per core",
    )
    add_force(parser)


def run_captions(options: argparse.Namespace) -> int:
    """Make a manifest, or check one."""
    from .captions_run import check_manifest, make_manifest

    return check_manifest(options) if options.check is not None else make_manifest(options)
