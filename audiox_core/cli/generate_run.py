"""The run of `generate`: what it imports takes seconds, so it is imported last."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from ..checkpoint.checkpoint_file import open_checkpoint
from ..checkpoint.lora import merge_lora
from ..checkpoint.weight_file import open_weights
from ..device import DTYPES, choose_device
from ..media.audio import sample_peak
from ..media.formats import VIDEO_SUFFIXES
from ..media.mux import check_mux
from ..pipeline.pipeline import Pipeline
from ..pipeline.request import Request, guidance_of
from ..pipeline.soundtrack import Soundtrack
from .progress import late_bar


def run(options: argparse.Namespace, request: Request, began: float) -> int:
    """Generate and save; prints what was made.

    Args:
        options: of the command line.
        request: made from them; it and its files have been checked.
        began: `time.perf_counter()` at the start of the command.
    """
    device = choose_device(options.device)
    if request.video is not None and options.output.suffix.lower() in VIDEO_SUFFIXES:
        check_mux(Path(request.video), options.output, start=request.start, seconds=request.seconds)
    for path, _strength in options.lora:
        open_weights(path)
    file = open_checkpoint(
        options.checkpoint,
        text_encoder=options.text_encoder,
        vae=options.vae,
        synchformer=options.synchformer,
        config=options.config,
        variant=options.variant,
    )
    checkpoint = file.load(dtype=DTYPES.get(options.dtype), device=device)
    for path, strength in options.lora:
        merge_lora(checkpoint.backbone, path, strength)
    pipeline = Pipeline(checkpoint, acceleration=options.accelerate)
    steps = pipeline.sampling(request).steps
    with late_bar(unit="step", desc="sampling", mininterval=0.5) as show:
        sound = pipeline.generate(request, on_step=lambda step, *_: show(step + 1, steps))
    sound.save(options.output)
    summary = _summary(options.output, sound, pipeline, request)
    summary["elapsed_seconds"] = round(time.perf_counter() - began, 2)
    print(json.dumps(summary) if options.json else _sentence(summary))
    return 0


def _summary(
    output: Path, sound: Soundtrack, pipeline: Pipeline, request: Request
) -> dict[str, Any]:
    checkpoint, sampling = pipeline.checkpoint, pipeline.sampling(request)
    guidance = guidance_of(request, sampling)
    return {
        "output": str(output),
        "seconds": round(sound.seconds, 4),
        "sample_rate": sound.sample_rate,
        "peak": round(sample_peak(sound.waveform), 4),
        "seed": request.seed,
        "steps": sampling.steps,
        "cfg": sampling.cfg,
        "guidance": None if guidance is None else vars(guidance),
        "cfg_rescale": sampling.cfg_rescale,
        "sampler": sampling.sampler,
        "checkpoint": checkpoint.path.name,
        "variant": checkpoint.variant,
        "note": checkpoint.config.note,
        "device": str(checkpoint.device),
        "dtype": str(checkpoint.dtype).removeprefix("torch."),
    }


def _sentence(summary: dict[str, Any]) -> str:
    scales = summary["guidance"] or {"cfg": summary["cfg"]}
    guidance = ", ".join(f"{name} {scale:g}" for name, scale in scales.items())
    return (
        "{output}: {seconds:.2f} s, {variant}, {sampler}, {steps} steps, {}, seed {seed}, "
        "made in {elapsed_seconds:.1f} s"
    ).format(guidance, **summary)
