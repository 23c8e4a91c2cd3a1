"""`generate`: audio, or a video with audio, from any inputs."""

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..checkpoint.checkpoint_file import load_checkpoint
from ..checkpoint.lora import merge_lora
from ..conditioners.masking import parse_hidden, parse_spans
from ..device import DTYPES, choose_device
from ..diffusion.samplers import SOLVERS
from ..errors import SettingsError
from ..media.audio import AUDIO_SUFFIXES
from ..media.files import check_output, is_same_file
from ..media.mux import VIDEO_SUFFIXES, check_mux
from ..pipeline.pipeline import Pipeline
from ..pipeline.request import Request, check_inputs
from ..pipeline.soundtrack import Soundtrack
from ..variants import VARIANTS

STRENGTHS = {"text": "prompt", "video": "video or image", "audio": "audio prompt"}


def add_generate(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the subparsers; returns its parser."""
    generate = commands.add_parser(
        "generate",
        help="generate audio, or a video with audio",
        description="Generate audio from text, video, an image or audio, in any combination.",
        epilog="Without --checkpoint, the embedded model is used. Settings that are not given "
        "use the model's defaults.",
    )
    generate.set_defaults(run=run_generate)
    _add_inputs(generate)
    _add_variation(generate)
    _add_sampling(generate)
    _add_files(generate)
    return generate


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("inputs")
    group.add_argument(
        "--prompt", default="", metavar="TEXT", help="description of the sound, in English"
    )
    group.add_argument("--negative", default="", metavar="TEXT", help="sounds to avoid")
    group.add_argument("--video", type=Path, metavar="FILE", help="the video to add audio to")
    group.add_argument(
        "--image", type=Path, metavar="FILE", help="a still image instead of a video"
    )
    group.add_argument(
        "--audio",
        type=Path,
        metavar="FILE",
        help="an audio or music prompt; the first 10 s are used",
    )
    for name, what in STRENGTHS.items():
        group.add_argument(
            f"--{name}-strength",
            type=float,
            default=1.0,
            metavar="0..1",
            help=f"influence of the {what}: 0 is absent, 1 (the default) is present",
        )
    group.add_argument(
        "--hide",
        type=parse_hidden,
        default={},
        metavar="WHAT:FROM-TO,…",
        help="time ranges to hide from the model, in seconds, for example video:0-2,audio:5-8",
    )
    group.add_argument(
        "--start",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="where to start in the video, in seconds",
    )
    group.add_argument(
        "--seconds",
        type=float,
        metavar="SECONDS",
        help="length of the audio; the default is up to the end of the video, or 10",
    )


def _add_variation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("existing audio")
    group.add_argument(
        "--init-audio", type=Path, metavar="FILE", help="existing audio to vary or to inpaint"
    )
    group.add_argument(
        "--denoise",
        type=float,
        metavar="0..1",
        help="how much of the audio to change; the default is 0.5",
    )
    group.add_argument(
        "--init-noise-level", type=float, metavar="SIGMA", help="the same as a starting sigma"
    )
    group.add_argument(
        "--inpaint",
        type=parse_spans,
        default=(),
        metavar="FROM-TO,…",
        help="time ranges to regenerate, in seconds, for example 2.0-4.5; the rest is kept",
    )


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sampling")
    group.add_argument(
        "--seed",
        type=int,
        help="the same seed and settings give the same audio; the default is random",
    )
    group.add_argument("--steps", type=int, help="number of sampling steps")
    group.add_argument(
        "--cfg",
        type=float,
        help="guidance scale: how closely the output follows the inputs; 1 is off",
    )
    group.add_argument(
        "--cfg-rescale", type=float, metavar="0..1", help="reduces harshness at a high cfg"
    )
    group.add_argument("--sampler", metavar="NAME", help=", ".join(SOLVERS))


def _add_files(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("files and device")
    group.add_argument("--checkpoint", type=Path, metavar="FILE", help="AudioX weights")
    group.add_argument(
        "--lora",
        type=parse_lora,
        action="append",
        default=[],
        metavar="FILE[:STRENGTH]",
        help="a LoRA for the transformer; can be repeated",
    )
    group.add_argument("--text-encoder", type=Path, metavar="PATH", help="T5-base, file or folder")
    group.add_argument("--vae", type=Path, metavar="FILE", help="another VAE for decoding")
    group.add_argument(
        "--synchformer",
        type=Path,
        metavar="FILE",
        help="Synchformer weights for the MAF models; the default is the file beside the "
        "checkpoint",
    )
    add_variant(group)
    group.add_argument(
        "--device", help="cpu, cuda, cuda:1, mps; the default is the best available device"
    )
    group.add_argument(
        "--dtype", choices=DTYPES, default="float32", help="data type of the transformer's weights"
    )
    suffixes = " ".join((*AUDIO_SUFFIXES, *VIDEO_SUFFIXES))
    group.add_argument(
        "--output", "-o", type=Path, required=True, metavar="FILE", help=f"one of {suffixes}"
    )
    group.add_argument("--json", action="store_true", help="print a summary as JSON")


def add_variant(parser: Any) -> None:
    """Add the options for weights files that do not name their variant or sizes."""
    parser.add_argument(
        "--variant",
        choices=VARIANTS,
        help="which model the weights are, if MMDiT, Base and Turbo cannot be told apart",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the release's config.json; the default is the one beside the weights, if any",
    )


def run_generate(options: argparse.Namespace) -> int:
    """Run `generate`; all inputs are checked before anything is computed."""
    began = time.perf_counter()
    request = _request(options)
    _check_output(options.output, request)
    device = choose_device(options.device)
    check_inputs(request)
    checkpoint = load_checkpoint(
        options.checkpoint,
        text_encoder=options.text_encoder,
        vae=options.vae,
        synchformer=options.synchformer,
        config=options.config,
        variant=options.variant,
        dtype=DTYPES[options.dtype],
        device=device,
    )
    for path, strength in options.lora:
        merge_lora(checkpoint.backbone, path, strength)
    pipeline = Pipeline(checkpoint)
    sampling = pipeline.sampling(request)
    with _Progress(sampling.steps) as progress:
        sound = pipeline.generate(request, on_step=progress)
    sound.save(options.output)
    summary = _summary(options.output, sound, pipeline, request)
    summary["elapsed_seconds"] = round(time.perf_counter() - began, 2)
    print(json.dumps(summary) if options.json else _sentence(summary))
    return 0


def parse_lora(text: str) -> tuple[Path, float]:
    """Parse `FILE` or `FILE:STRENGTH`; the colon of a Windows drive is part of the file."""
    name, _, strength = text.rpartition(":")
    try:
        return Path(name or text), float(strength) if name else 1.0
    except ValueError:
        return Path(text), 1.0


class _Progress:
    """A bar that appears with the first step, so that an error before it stays one line."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.bar: tqdm | None = None

    def __call__(self, *_step: Any) -> None:
        self.bar = self.bar or tqdm(total=self.total, unit="step", desc="sampling", mininterval=0.5)
        self.bar.update()

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_error: object) -> None:
        if self.bar is not None:
            self.bar.close()


def _request(options: argparse.Namespace) -> Request:
    names = Request.__dataclass_fields__.keys() & vars(options).keys()
    given: dict[str, Any] = {name: getattr(options, name) for name in names}
    if given["seed"] is None:
        given["seed"] = random.SystemRandom().randrange(2**32)  # not the global generator
    return Request(**given)


def _check_output(output: Path, request: Request) -> None:
    known = (*AUDIO_SUFFIXES, *VIDEO_SUFFIXES)
    suffix = output.suffix.lower()
    if suffix not in known:
        raise SettingsError(f"{output} has an unsupported suffix: use one of {' '.join(known)}.")
    if suffix in VIDEO_SUFFIXES and request.video is None:
        raise SettingsError(f"{output.name} is a video file: pass the video for it with --video.")
    check_output(output)
    inputs = (request.video, request.image, request.audio, request.init_audio)
    if any(path and is_same_file(Path(path), output) for path in inputs):
        raise SettingsError(
            f"{output} is an input and would be overwritten: choose another --output."
        )
    if suffix in VIDEO_SUFFIXES and request.video is not None:
        check_mux(Path(request.video), output)


def _summary(
    output: Path, sound: Soundtrack, pipeline: Pipeline, request: Request
) -> dict[str, Any]:
    checkpoint, sampling = pipeline.checkpoint, pipeline.sampling(request)
    return {
        "output": str(output),
        "seconds": round(sound.seconds, 4),
        "sample_rate": sound.sample_rate,
        "peak": round(sound.waveform.abs().max().item(), 4),
        "seed": request.seed,
        "steps": sampling.steps,
        "cfg": sampling.cfg,
        "cfg_rescale": sampling.cfg_rescale,
        "sampler": sampling.sampler,
        "checkpoint": checkpoint.path.name,
        "variant": checkpoint.variant,
        "note": checkpoint.config.note,
        "device": str(checkpoint.device),
        "dtype": str(checkpoint.dtype).removeprefix("torch."),
    }


def _sentence(summary: dict[str, Any]) -> str:
    return (
        "{output}: {seconds:.2f} s, {variant}, {sampler}, {steps} steps, cfg {cfg:g}, seed {seed}, "
        "made in {elapsed_seconds:.1f} s"
    ).format(**summary)
