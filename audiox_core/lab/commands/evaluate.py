"""`lab evaluate`: how well the embedded model follows text, video and audio."""

import argparse
import json
from typing import Any

from tqdm import tqdm

from ...arguments import FILE, add_device, add_force, path_argument
from ...errors import SettingsError
from ...overwrite import check_overwrite
from ...progress_bar import count_bar

IN_BOTH_WORLDS = ("vae", "text", "video", "conflict", "music", "repair", "timeline")
CASES = (*IN_BOTH_WORLDS, "order")
WORLDS = ("synthetic", "effects")
DRAWN = ("video", "conflict")


def add_evaluate(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the subparsers; returns its parser."""
    parser = commands.add_parser(
        "evaluate",
        help="measure how well a small model follows text, video and sound",
        description="Measure a model of a rendered world (audiox-nano) on clips that it has not "
        "seen, with its own default settings. The results include those of the "
        "same model before training (_untrained) and of conditions shuffled "
        "between the clips (_shuffled).",
    )
    parser.set_defaults(run=run_evaluate, runs_alone=True)
    parser.add_argument(
        "--checkpoint",
        **FILE,
        help="checkpoint to evaluate; the default is the embedded model",
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="NAME",
        help=f"run only the case of this name: {', '.join(CASES)}",
    )
    parser.add_argument(
        "--world",
        choices=WORLDS,
        help="rendered world to take clips from; the default is the one that the model was trained "
        "on. effects needs recordings of Debian packages",
    )
    parser.add_argument(
        "--share",
        type=float,
        default=1.0,
        help="share of the clips to use; published figures use 1 (the default)",
    )
    add_device(parser)
    parser.add_argument(
        "--plot", type=path_argument, metavar="FILE.svg", help="draw the main figures"
    )
    add_force(parser)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def run_evaluate(options: argparse.Namespace) -> int:
    """Evaluate; each case is printed when it is done."""
    if not 0 < options.share <= 1:
        raise SettingsError(f"--share is {options.share:g}: it must be above 0, and at most 1.")
    if not any(options.only in name for name in CASES):
        raise SettingsError(f"Unknown case {options.only!r}: choose from {', '.join(CASES)}.")
    _check_world(options.only, options.world)
    if options.plot is not None:
        _check_plot(options)
    from ...checkpoint.checkpoint_file import open_checkpoint
    from ...device import choose_device
    from ...media.files import replacing
    from ...pipeline.pipeline import Pipeline
    from ..evaluation import cases, report
    from ..evaluation.catalogue import CATALOGUES, catalogue_of
    from ..evaluation.models_under_test import ModelsUnderTest, Sizes
    from ..evaluation.untrained import untrained

    file = open_checkpoint(options.checkpoint)
    catalogue = CATALOGUES.get(options.world) or catalogue_of(file.weights.header)
    _check_world(options.only, catalogue.name)
    checkpoint = file.load(device=choose_device(options.device))
    figures: dict[str, Any] = {"model": checkpoint.variant, "file": checkpoint.path.name}
    with count_bar("evaluating", "clip") as bar:
        models = ModelsUnderTest(
            Pipeline(checkpoint),
            Pipeline(untrained(checkpoint)),
            Sizes(text=catalogue.text_prompts).times(options.share),
            on_clip=bar.update,
            catalogue=catalogue,
        )
        for _, found in cases.run(models, options.only):
            figures |= found
            if not options.json:
                tqdm.write(report.table(found))
    if options.json:
        print(json.dumps(figures, indent=2))
    if options.plot is not None:
        with replacing(options.plot) as path:
            path.write_text(report.picture(figures), encoding="utf-8")
    return 0


def _check_world(only: str, world: str | None) -> None:
    """Refuse a case that a world does not have; None is a world that is not known yet."""
    if world == "synthetic" and not any(only in name for name in IN_BOTH_WORLDS):
        raise SettingsError(f"The case {only!r} needs --world effects.")


def _check_plot(options: argparse.Namespace) -> None:
    if options.plot.suffix != ".svg":
        raise SettingsError(f"{options.plot} has an unsupported suffix: use .svg.")
    if not any(options.only in name for name in DRAWN):
        raise SettingsError(
            f"--only {options.only} has no plot: omit --plot, or choose from {', '.join(DRAWN)}."
        )
    from ...media.files import check_output

    check_output(options.plot)
    check_overwrite([options.plot], force=options.force)
