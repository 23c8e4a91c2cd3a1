"""`demo`: the embedded model on an example clip, and on a video of yours."""

import argparse
from pathlib import Path

from ...arguments import FILE, FOLDER, add_device, add_force
from ...errors import SettingsError
from ...media.examples import VIDEOS
from ...media.formats import copy_suffix
from ...overwrite import check_overwrite
from ...progress import Progress
from ...progress_bar import stage_bar

SEEDS = 2**32


def add_demo(parser: argparse.ArgumentParser) -> None:
    """Add the options of `demo` to its parser."""
    parser.description = (
        "Generate audio for the pictures of an example clip with the embedded model, and draw the "
        "spectrogram with the events of the clip. If you pass a video, also add a soundtrack to it."
    )
    parser.set_defaults(run=run_demo, runs_alone=True)
    parser.add_argument("video", **FILE, nargs="?", help="a video to add a soundtrack to")
    parser.add_argument(
        "--prompt",
        default="",
        metavar="TEXT",
        help="description of the sound of your video, in English",
    )
    parser.add_argument(
        "--clip",
        choices=VIDEOS,
        default=VIDEOS[0],
        help=f"the example clip; the default is {VIDEOS[0]}",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the audio; the default is 0")
    parser.add_argument(
        "--output",
        "-o",
        **FOLDER,
        default=Path("demo"),
        help="folder to write to; the default is demo",
    )
    add_force(parser)
    add_device(parser)


def demo_files(options: argparse.Namespace) -> list[Path]:
    """The example clip, its spectrogram and, with a video, the copy of it with a soundtrack."""
    folder, video = options.output, options.video
    made = [folder / f"{options.clip}.mp4", folder / f"{options.clip}.svg"]
    if video is not None:
        made.append(folder / f"{video.stem}-with-sound{copy_suffix(video)}")
    return made


def run_demo(options: argparse.Namespace) -> int:
    """Write the files and print what they are."""
    if not 0 <= options.seed < SEEDS:
        raise SettingsError(f"--seed is {options.seed}: it must be 0 or more, and below 2**32.")
    if options.video is not None:
        from ...media.timeline import PictureReader

        with PictureReader(options.video):  # raises if it is no video
            pass
    check_overwrite(demo_files(options), force=options.force)
    with stage_bar() as show:
        show(Progress("starting", 0.0, 0.0))
        from .demo_run import run

        made = run(options, show)
    print("\n".join(made))
    return 0
