"""`lab world`: clips of the rendered worlds that small models are trained on, as files."""

import argparse
from collections.abc import Callable
from typing import Any

from ...arguments import add_force, add_output
from ...config import AudioXConfig
from ...errors import SettingsError
from ...overwrite import check_overwrite
from ...paths import new_folder
from ...progress_bar import count_bar
from .evaluate import WORLDS


def add_world(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the subparsers; returns its parser."""
    parser = commands.add_parser(
        "world",
        help="render training clips of the embedded model",
        description="Render clips of `train --data world` or `train --data effects` to a folder: "
        "scenes as MP4, music as FLAC, and a manifest with their captions.",
    )
    parser.set_defaults(run=run_world)
    add_output(parser, "created if missing", "FOLDER")
    add_force(parser)
    parser.add_argument(
        "--world",
        choices=WORLDS,
        default=WORLDS[0],
        help="effects: recorded sounds of Debian packages, and emoji; the default is synthetic",
    )
    parser.add_argument("--clips", type=int, default=10, help="number of clips; the default is 10")
    parser.add_argument("--first", type=int, default=0, help="index of the first clip")
    parser.add_argument("--seed", type=int, default=0, help="data.seed of the training run")
    parser.add_argument(
        "--music", type=float, default=0.0, help="share of music, 0 to 1; the default is 0"
    )
    return parser


def run_world(options: argparse.Namespace) -> int:
    """Render the clips."""
    for name in ("clips", "first", "seed"):
        low = 1 if name == "clips" else 0
        if (value := getattr(options, name)) < low:
            raise SettingsError(f"--{name} is {value}: it must be {low} or more.")
    from ..render import MANIFEST, render_clips
    from ..world import World

    make_world: Callable[..., World] = World
    if options.world == "effects":
        from ..effects.source import effects_world

        make_world = effects_world
    clips = range(options.first, options.first + options.clips)
    world = make_world(AudioXConfig(), seed=options.seed, count=clips.stop, music=options.music)
    check_overwrite([options.output / MANIFEST], force=options.force)
    bar = count_bar("rendering", "clip", len(clips))
    with new_folder(options.output), bar:
        *_, manifest = render_clips(world, options.output, clips, on_clip=bar.update)
    print(f"{len(clips)} clips in {options.output}, captions in {manifest}")
    return 0
