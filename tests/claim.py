"""`python -m tests.claim FOLDER`: the paper's claim about masked training, at small scale.

Encoders and transformer are trained with and without masks, with two seeds each, on the same clips
and the same frozen VAE for the same number of steps. Each model then generates from text alone,
from video alone, from audio alone, and from all three. Finished parts are kept in the folder, so
that the same command resumes.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from audiox_core import Pipeline, Request, load_checkpoint
from audiox_core.analysis.onsets import onset_times
from audiox_core.checkpoint.weight_file import open_weights
from audiox_core.errors import AudioXError, SettingsError
from audiox_core.lab.evaluation.cases import FPS, learn_classes, matched
from audiox_core.lab.evaluation.catalogue import CATALOGUES, EFFECTS, Catalogue
from audiox_core.lab.evaluation.classifier import Classifier
from audiox_core.lab.evaluation.clips import even_times, held_out_scene, write_scene, write_sound
from audiox_core.lab.from_scratch.stages import from_scratch
from audiox_core.lab.world.source import WorldData
from audiox_core.training.clips import DataSource
from audiox_core.training.config import TrainConfig
from audiox_core.training.run import Job, run_job
from audiox_core.training.settings import read_settings
from audiox_core.training.trainer import Report

SEEDS = (0, 1)
ENCODER_LR, ENCODER_WARMUP = 1e-3, 50
INPUTS = {
    "text": ("prompt",),
    "video": ("video",),
    "audio": ("audio",),
    "all": ("prompt", "video", "audio"),
}
ASKED, PROMPTS = 20_000, 30_000  # first of the clips that are asked for, and of the sounds given


def settings(path: Path, *, masked: bool, seed: int, steps: int) -> TrainConfig:
    """Those of the file, but for what is compared."""
    config = read_settings(path, [])
    masks = config.masks if masked else replace(config.masks, masked=0.0, absent=0.0)
    return replace(config, masks=masks, run=replace(config.run, seed=seed, steps=steps))


def catalogue_for(config: TrainConfig) -> Catalogue:
    """The rendered world that the settings name as their data."""
    for catalogue in CATALOGUES.values():
        if config.data.source == catalogue.source:
            return catalogue
    raise SettingsError(f"data.source is {config.data.source!r}: choose world or effects.")


def data_source(catalogue: Catalogue) -> Callable[..., DataSource]:
    """What opens the training clips of a world."""
    if catalogue is EFFECTS:
        from audiox_core.lab.effects.source import EffectsData  # needs Pillow

        return EffectsData
    return WorldData


def trained(config: TrainConfig, output: Path, vae: Path, cache: Path, encoders: int) -> Path:
    """The weights of a run, made or found: the encoders' steps, then the transformer's."""
    config = replace(config, data=replace(config.data, cache=str(cache)))
    optim = replace(config.optim, lr=ENCODER_LR, warmup_steps=ENCODER_WARMUP)
    first = replace(config, optim=optim, run=replace(config.run, steps=encoders))
    begun = _finished(_job("encoders", first, output / "encoders", vae=vae))
    return _finished(_job("diffusion", config, output, init=begun, vae=vae))


def _job(stage: str, config: TrainConfig, output: Path, **parts: Any) -> Job:
    source = data_source(catalogue_for(config))
    return from_scratch(Job(stage, config, output, data_source=source, report=_say, **parts))


def _finished(job: Job) -> Path:
    outcome = run_job(job)
    if not outcome.finished:  # half a run is not asked
        raise SystemExit("Stopped: the same command resumes.")
    return outcome.weights


def _data_fingerprint(config: TrainConfig, options: argparse.Namespace) -> str:
    """A name for all that decides the figures of a run."""
    decide = [
        config.identity(),
        open_weights(options.vae).fingerprint(),
        options.encoder_steps,
        options.clips,
    ]
    return blake2b(json.dumps(decide, sort_keys=True).encode(), digest_size=8).hexdigest()


def _say(report: Report) -> None:
    tqdm.write(str(report))


def ask(
    pipeline: Pipeline, classifier: Classifier, clips: int, catalogue: Catalogue
) -> dict[str, Any]:
    """Accuracy of the class, and F1 of onsets and events, for each combination of inputs."""
    rate, targets = pipeline.latent_format.sample_rate, []
    right, onsets = ({name: [] for name in INPUTS} for _ in range(2))
    with TemporaryDirectory() as folder:
        for number in range(clips):
            label = catalogue.event_labels[number % len(catalogue.event_labels)]
            item = held_out_scene(ASKED + number, label, catalogue)
            other = held_out_scene(PROMPTS + number, label, catalogue)
            targets.append([event.time for event in item.events])
            files = {
                "prompt": item.caption,
                "video": write_scene(Path(folder) / f"{number}.mp4", item, even_times(FPS)),
                "audio": write_sound(Path(folder) / f"{number}.wav", other.audio(rate), rate),
            }
            for name, given in INPUTS.items():
                inputs = {what: files[what] for what in given}
                sound = pipeline.generate(Request(**inputs, seed=number)).waveform
                right[name].append(classifier.label(sound, rate) == label)
                onsets[name].append(onset_times(sound, rate))
    figures = {}
    for name, given in INPUTS.items():
        figures[f"{name}.accuracy"] = mean(right[name])
        if "video" in given:
            figures[f"{name}.f1"] = matched(onsets[name], targets).f1
    return figures


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Figures of both kinds: mean and half the distance of the seeds."""

    def cell(values: Sequence[float]) -> str:
        return f"{mean(values):.2f} +- {(max(values) - min(values)) / 2:.2f}"

    lines = [f"{'':<16}" + "".join(f"{kind:>18}" for kind in found)]
    for name in next(iter(found.values()))[0]:
        cells = [cell([figures[name] for figures in runs]) for runs in found.values()]
        lines.append(f"{name:<16}" + "".join(f"{text:>18}" for text in cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.claim", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--config", type=Path, required=True, help="settings of both")
    parser.add_argument("--vae", type=Path, required=True, help="the frozen VAE")
    parser.add_argument("--cache", type=Path, required=True, help="latents and pictures")
    parser.add_argument("--encoder-steps", type=int, default=600)
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--clips", type=int, default=45, help="that each model is asked for")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="one a core, then all")
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {"masked": [], "unmasked": []}
    classifier = None
    for seed in options.seeds:
        for kind, runs in found.items():
            output = options.folder / f"{kind}-{seed}"
            config = settings(
                options.config, masked=kind == "masked", seed=seed, steps=options.steps
            )
            kept = output / f"figures-{_data_fingerprint(config, options)}.json"
            if not kept.exists():
                weights = trained(config, output, options.vae, options.cache, options.encoder_steps)
                pipeline = Pipeline(load_checkpoint(weights))
                rate, catalogue = pipeline.latent_format.sample_rate, catalogue_for(config)
                classifier = classifier or learn_classes(rate, catalogue)[0]
                figures = ask(pipeline, classifier, options.clips, catalogue)
                kept.write_text(json.dumps(figures, indent=2))
            runs.append(json.loads(kept.read_text()))
            print(f"{kind}, seed {seed}: {runs[-1]}", flush=True)
    print(table(found))


if __name__ == "__main__":
    try:
        main()
    except AudioXError as error:
        raise SystemExit(f"error: {error}") from None
