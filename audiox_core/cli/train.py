"""`train`: a VAE, a model, or an adapter, from clips."""

import argparse
import json
import logging
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..arguments import FILE, add_device, add_output, path_argument
from ..progress_bar import late_count_bar
from .options import add_json

logger = logging.getLogger(__name__)

DESCRIPTIONS = {
    "vae": "the VAE between audio and latents",
    "encoders": "text and image encoders of a model from scratch, before its transformer",
    "diffusion": "the transformer and its conditioners, with the paper's masked training",
    "lora": "a LoRA for the transformer of the model given with --init",
}
SHORT = {  # an option -> the setting that it stands for, and its kind
    "steps": ("run.steps", int),
    "seed": ("run.seed", int),
    "minutes": ("run.minutes", float),
    "save-every": ("run.save_every", int),
    "log-every": ("run.log_every", int),
    "clips": ("data.clips", int),
    "media": ("data.media", str),
    "cache": ("data.cache", str),
    "workers": ("data.workers", int),
    "batch": ("optim.batch", int),
    "accumulation": ("optim.accumulation", int),
    "lr": ("optim.lr", float),
    "precision": ("optim.precision", str),
    "rank": ("lora.rank", int),
}


def add_train(parser: argparse.ArgumentParser) -> None:
    """Add the options of `train` to its parser."""
    stages = "; ".join(f"{name} = {what}" for name, what in DESCRIPTIONS.items())
    parser.description = (
        f"Train a stage: {stages}. An interrupted run continues with the same command and reaches "
        "the same numbers."
    )
    parser.epilog = (
        "All settings can be given in the TOML file, or as --set section.key=value. Several GPUs: "
        "torchrun --nproc-per-node N -m audiox_core train …"
    )
    parser.set_defaults(run=run_train, stopped="Stopped; run the same command to continue.")
    add = parser.add_argument
    add("stage", choices=DESCRIPTIONS, metavar="STAGE", help=" or ".join(DESCRIPTIONS))
    add("--data", metavar="world|effects|FILE", help="rendered clips, or a manifest")
    add("--config", **FILE, help="settings as TOML")
    add("--init", **FILE, help="the checkpoint to start from")
    add(
        "--text-encoder",
        type=path_argument,
        metavar="PATH",
        help="T5 for the model given with --init",
    )
    add("--vae", **FILE, help="VAE of the latents, if it is not the one in --init")
    add_output(
        parser,
        "folder for weights, log, plot and the state to continue from; created if missing",
        "FOLDER",
    )
    for name, (setting, kind) in SHORT.items():
        add(f"--{name}", type=kind, metavar=name.upper(), help=f"short for --set {setting}=…")
    change = "change any setting; can be repeated"
    add("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help=change)
    add_device(parser)
    add_json(parser)


def run_train(options: argparse.Namespace) -> int:
    """Train and print the progress."""
    from ..training.settings import parse_assignment, read_settings

    given = {name: getattr(options, name.replace("-", "_")) for name in SHORT}
    assignments = [parse_assignment(text) for text in options.set]
    assignments += [(SHORT[n][0], value) for n, value in given.items() if value is not None]
    if options.data is not None:
        assignments.append(("data.source", options.data))
    config = read_settings(options.config, assignments)
    from ..device import choose_device
    from ..training.run import STAGES, Job, run_job

    with late_count_bar("preparing", "clip") as show:
        job = Job(
            stage=options.stage,
            config=config,
            output=options.output,
            init=options.init,
            vae=options.vae,
            text_encoder=options.text_encoder,
            device=choose_device(options.device),
            command=shlex.join(["python", "-m", "audiox_core", *sys.argv[1:]]),
            data_source=_data_source(config.data.source),
            on_cache=show,
            on_skipped=lambda cache: logger.warning(
                "%d of %d clips cannot be used: they are listed in %s.",
                len(cache.skipped),
                len(cache.skipped) + len(cache),
                options.output / "skipped.jsonl",
            ),
            report=lambda report: tqdm.write(str(report)),
            on_save=_plot_losses,
        )
        if options.init is None or options.stage not in STAGES:
            from ..lab.from_scratch.stages import from_scratch

            job = from_scratch(job)
        outcome = run_job(job)
    summary = {
        "output": str(outcome.weights),
        "step": outcome.step,
        "steps": outcome.steps,
        "interrupted": outcome.interrupted > 0,
    }
    why = "Stopped" if outcome.interrupted else "The time limit was reached"
    ended = f"{why} after step {outcome.step} of {outcome.steps}; run the same command to continue."
    sentence = f"{outcome.weights}: {outcome.step} steps" if outcome.finished else ended
    if outcome.weights is not None:  # else another process prints it
        print(json.dumps(summary) if options.json else sentence)
    return 128 + outcome.interrupted if outcome.interrupted else 0


def _data_source(name: str) -> Callable[..., Any]:
    """What opens the clips: rendered ones, or those of a manifest."""
    if name == "world":
        from ..lab.world.source import WorldData

        return WorldData
    if name == "effects":
        from ..lab.effects.source import EffectsData

        return EffectsData
    from ..training.media import ManifestData

    return ManifestData


def _plot_losses(folder: Path) -> None:
    """Draw the losses of a run; the lab is imported when there is something to draw."""
    from ..lab.plot_loss import plot_losses

    plot_losses(folder)
