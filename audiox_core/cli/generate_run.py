"""The run of `generate`: what it imports takes seconds, so it is imported last."""

import argparse
from pathlib import Path
from typing import Any

from ..checkpoint.checkpoint_file import CheckpointFile, open_checkpoint
from ..checkpoint.lora import merge_lora
from ..checkpoint.weight_file import open_weights
from ..conditioners.missing_module import MissingModule
from ..device import DTYPES, choose_device
from ..media.audio import sample_peak
from ..media.formats import VIDEO_SUFFIXES
from ..media.mux import check_mux
from ..media.pixels import read_image
from ..pipeline.pipeline import Pipeline
from ..pipeline.request import Request, guidance_of, has_audio_prompt, sampling_of
from ..pipeline.soundtrack import Soundtrack
from ..pipeline.sources import Sources, open_sources, read_audio_prompt
from ..pipeline.stage_times import load_seconds, stage_seconds, write_seconds
from ..progress import OnProgress, Stages
from .generate_files import output_paths

LOADING, GENERATING, WRITING = "loading the model", "generating", "writing the file"


def run(options: argparse.Namespace, request: Request, show: OnProgress) -> dict[str, Any]:
    """Generate and save; inputs are read before weights.

    Args:
        options: of the command line.
        request: made from them; it and its files have been checked.
        show: called with the progress.

    Returns:
        What was made, and how.
    """
    device = choose_device(options.device)
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
    sources = _checked_sources(options, request, file)
    stages = _stages(file, request, sources, device.type, show)
    stages.report(LOADING)
    checkpoint = file.load(
        dtype=DTYPES.get(options.dtype),
        device=device,
        on_progress=lambda done: stages.report(LOADING, done),
    )
    for path, strength in options.lora:
        merge_lora(checkpoint.backbone, path, strength)
    pipeline = Pipeline(checkpoint, acceleration=options.accelerate)
    sounds = pipeline.takes(request, on_progress=stages.nested(GENERATING), sources=sources)
    stages.report(WRITING)
    outputs = output_paths(options.output, request.takes)
    for k, (sound, path) in enumerate(zip(sounds, outputs, strict=True)):
        sound.save(path, lambda done, k=k: stages.report(WRITING, (k + done) / len(sounds)))
    return _summary(outputs, sounds, pipeline, request)


def _checked_sources(
    options: argparse.Namespace, request: Request, file: CheckpointFile
) -> Sources:
    """Open the inputs, and check all that the model and the output need of them."""
    file.check()
    sampling_of(request, file.config)
    if (request.video or request.image) and isinstance(file.synchformer, MissingModule):
        file.synchformer()  # its error says where to put the file
    sources = open_sources(request, file.config.latent)
    if request.image is not None:
        read_image(Path(request.image))
    if has_audio_prompt(request):
        read_audio_prompt(request, file.config.latent)
    if request.video is not None and options.output.suffix.lower() in VIDEO_SUFFIXES:
        check_mux(Path(request.video), options.output, start=request.start, seconds=request.seconds)
    return sources


def _stages(
    file: CheckpointFile, request: Request, sources: Sources, device: str, show: OnProgress
) -> Stages:
    """The stages of the command: loading, those of the pipeline, and writing."""
    sampling = sampling_of(request, file.config)
    times = stage_seconds(file.config, request, sources.seconds, sampling, device)
    return Stages(
        {
            LOADING: load_seconds(file.path.stat().st_size),
            GENERATING: sum(times.values()),
            WRITING: request.takes * write_seconds(sources.seconds),
        },
        show,
    )


def _summary(
    outputs: list[Path], sounds: list[Soundtrack], pipeline: Pipeline, request: Request
) -> dict[str, Any]:
    checkpoint, sampling = pipeline.checkpoint, pipeline.sampling(request)
    guidance = guidance_of(request, sampling)
    return {
        "outputs": [str(path) for path in outputs],
        "seconds": round(sounds[0].seconds, 4),
        "sample_rate": sounds[0].sample_rate,
        "peaks": [round(sample_peak(sound.waveform), 4) for sound in sounds],
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
