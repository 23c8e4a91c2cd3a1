"""`generate`: audio, or a video with audio, from any inputs."""

import argparse
import json
import random
import time
from typing import Any

from ..arguments import FILE, add_device, add_force, add_output, path_argument
from ..conditioners.inputs import parse_hidden, parse_spans
from ..errors import SettingsError
from ..limits import ACCELERATIONS, DTYPE_NAMES, FEATHER_SECONDS, SOLVER_NAMES
from ..media.formats import SUFFIXES
from ..overwrite import check_overwrite
from ..pipeline.model_options import model_options, parse_lora
from ..pipeline.outputs import check_suffix, output_paths
from ..pipeline.request import Request, check_request
from ..progress import Progress
from ..progress_bar import stage_bar
from .options import CHECKPOINT, DECIBELS, SECONDS, SHARE, add_json, add_variant

GUIDANCE = {
    "text": "the text; the default of these three is --cfg",
    "video": "what the video or image adds to the text",
    "audio": "what the audio prompt adds to both",
}
SEED = "same seed and settings, same audio; the default is random, or in a batch one for each item"
STRENGTHS = {"text": "prompt", "video": "video or image", "audio": "audio prompt"}


def add_generate(parser: argparse.ArgumentParser) -> None:
    """Add the options of `generate` to its parser."""
    parser.description = "Generate audio from text, video, an image or audio, in any combination."
    parser.epilog = (
        "Without --checkpoint, the embedded model is used. Settings that are not given use the "
        "model's defaults."
    )
    parser.set_defaults(run=run_generate)
    parser.add_argument(
        "inputs",
        **FILE,
        nargs="*",
        default=[],
        help="a video, an image or a sound; the same as --video, --image and --audio, or "
        "--init-audio where the existing audio is changed",
    )
    add_settings(parser)
    group = parser.add_argument_group("output")
    add_output(group, f"the file to write: one of {' '.join(SUFFIXES)}", required=False)
    add_force(group)
    add_json(group, "what was made, with all that --from-json needs,")
    group.add_argument(
        "--from-json",
        **FILE,
        action=_FromJson,
        help="repeat the run that printed this with --json; other options override its settings",
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options of a request and of its model, which `batch` has, too."""
    _add_inputs(parser.add_argument_group("inputs"))
    _add_variation(parser.add_argument_group("existing audio"))
    _add_sampling(parser.add_argument_group("sampling"))
    _add_mix(parser.add_argument_group("mix"))
    _add_model(parser.add_argument_group("model and device"))


def _add_inputs(group: Any) -> None:
    add = group.add_argument
    add("--prompt", default="", metavar="TEXT", help="description of the sound, in English")
    add(
        "--prompt-at",
        dest="prompts",
        nargs=2,
        action=_PromptAt,
        default=(),
        metavar=("FROM-TO", "TEXT"),
        help="a prompt for some seconds, for example --prompt-at 0-4 rain; can be repeated, and "
        "--prompt is for the rest",
    )
    add(
        "--crossfade",
        **SECONDS,
        default=0.5,
        help="length of the crossfade between timed prompts; the default is 0.5",
    )
    add(
        "--negative", default="", metavar="TEXT", help="sounds to avoid; no effect at cfg 1 (Turbo)"
    )
    add("--video", **FILE, help="the video to add audio to")
    add("--image", **FILE, help="a still image instead of a video")
    add("--audio", **FILE, help="an audio or music prompt; the first 10 s are used")
    for name, what in STRENGTHS.items():
        text = f"influence of the {what}: 0 is absent, 1 (the default) is present"
        add(f"--{name}-strength", **SHARE, default=1.0, help=text)
    add(
        "--hide",
        type=parse_hidden,
        default={},
        metavar="WHAT:FROM-TO,…",
        help="time ranges to hide from the model, in seconds, for example video:0-2,audio:5-8",
    )
    add("--start", **SECONDS, default=0.0, help="where to start in the video, in seconds")
    add("--seconds", **SECONDS, help="length; the default is to the end of the video, or 10 s")
    add(
        "--loop",
        action="store_true",
        help="audio of at least 2 s whose end leads into its beginning",
    )


def _add_variation(group: Any) -> None:
    add = group.add_argument
    add("--init-audio", **FILE, help="existing audio to vary or to inpaint")
    add("--denoise", **SHARE, help="how much of the audio to change; the default is 0.5")
    add("--init-noise-level", type=float, metavar="SIGMA", help="the same as a starting sigma")
    add(
        "--inpaint",
        type=parse_spans,
        default=(),
        metavar="FROM-TO,…",
        help="time ranges to regenerate, in seconds, for example 2.0-4.5; the rest is kept",
    )
    text = "seconds to add after the audio; without --audio, its last 10 s are the audio prompt"
    add("--extend", **SECONDS, default=0.0, help=text)
    text = "length of the crossfade between kept and new audio; the default is 0.1"
    add("--feather", **SECONDS, default=FEATHER_SECONDS, help=text)


def _add_sampling(group: Any) -> None:
    add = group.add_argument
    text = "number of different sounds, in files NAME-1, NAME-2 and so on; the default is 1"
    add("--takes", "--count", type=int, default=1, metavar="N", help=text)
    add("--seed", type=int, help=SEED)
    add("--steps", type=int, help="number of sampling steps")
    add("--cfg", type=float, help="guidance scale: how closely to follow the inputs; 1 is off")
    for name, what in GUIDANCE.items():
        add(f"--{name}-guidance", type=float, metavar="CFG", help=f"guidance scale of {what}")
    add("--cfg-rescale", **SHARE, help="reduces harshness at a high cfg")
    add("--sampler", metavar="NAME", help=", ".join(SOLVER_NAMES))


def _add_mix(group: Any) -> None:
    add = group.add_argument
    add("--gain", **DECIBELS, default=0.0, help="gain of the generated audio, in dB")
    add(
        "--keep-original",
        **DECIBELS,
        nargs="?",
        const=0.0,
        help="mix with the video's own audio instead of replacing it; a number is its gain in dB",
    )
    text = "dB by which the video's own audio is turned down while the generated audio is loud"
    add("--duck", **DECIBELS, default=0.0, help=text)
    text = "loudness of the result, for example -16; true peaks stay at or below -1 dB"
    add("--lufs", type=float, metavar="LUFS", help=text)


def _add_model(group: Any) -> None:
    add = group.add_argument
    text = "AudioX weights: a file, or a model that `fetch` downloaded, such as turbo"
    add("--checkpoint", **CHECKPOINT, help=text)
    add(
        "--lora",
        type=parse_lora,
        action="append",
        default=[],
        metavar="FILE[:STRENGTH]",
        help="a LoRA for the transformer; can be repeated",
    )
    add("--text-encoder", type=path_argument, metavar="PATH", help="T5-base, file or folder")
    add("--vae", **FILE, help="another VAE for decoding")
    add("--synchformer", **FILE, help="Synchformer weights; the default is beside the checkpoint")
    add_variant(group)
    add_device(group)
    add(
        "--dtype",
        choices=("auto", *DTYPE_NAMES),
        default="auto",
        help="data type of the transformer's weights; auto is float16 on a GPU, float32 on a CPU",
    )
    add(
        "--accelerate",
        choices=ACCELERATIONS,
        default="off",
        help="graph: record the steps as a CUDA graph; compile: compile them, which takes a minute "
        "at first; the default is off",
    )


class _PromptAt(argparse.Action):
    """Collect `FROM-TO TEXT` as the prompts of a request."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        try:
            spans = parse_spans(values[0])
        except SettingsError as error:
            parser.error(f"argument {option_string}: {error}")
        prompts = [(*span, values[1]) for span in spans]
        setattr(namespace, self.dest, (*getattr(namespace, self.dest), *prompts))


class _FromJson(argparse.Action):
    """Set the options of a recorded run, except those that were given before."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        from ..pipeline.record import read_record

        setattr(namespace, self.dest, values)
        for name, value in read_record(values).items():
            if getattr(namespace, name, None) == parser.get_default(name):
                setattr(namespace, name, value)


def run_generate(options: argparse.Namespace) -> int:
    """Run `generate`.

    Settings are checked first, then files, then PyTorch is imported, and weights are read last.
    """
    began = time.perf_counter()
    if options.output is None:
        raise SettingsError("There is no file to write: pass its name with --output.")
    if options.inputs:
        from .generate_files import take_inputs

        take_inputs(options)
    request = _request(options)
    check_request(request)
    check_suffix(options.output, request)
    from .generate_files import check_files

    model = model_options(vars(options))
    check_files(options.output, model, request)
    check_overwrite(output_paths(options.output, request.takes), force=options.force)
    with stage_bar() as show:
        show(Progress("starting", 0.0, 0.0))
        from .generate_run import run

        summary = run(options.output, model, request, show)
    summary["elapsed_seconds"] = round(time.perf_counter() - began, 2)
    print(json.dumps(summary) if options.json else _sentence(summary))
    return 0


def _request(options: argparse.Namespace) -> Request:
    names = Request.__dataclass_fields__.keys() & vars(options).keys()
    given: dict[str, Any] = {name: getattr(options, name) for name in names}
    if given["seed"] is None:
        given["seed"] = random.SystemRandom().randrange(2**32)  # not the global generator
    return Request(**given)


def _sentence(summary: dict[str, Any]) -> str:
    scales = summary["guidance"] or {"cfg": summary["cfg"]}
    guidance = ", ".join(f"{name} {scale:g}" for name, scale in scales.items())
    return (
        "{}: {seconds:.2f} s, {variant}, {sampler}, {steps} steps, {}, seed {seed}, "
        "made in {elapsed_seconds:.1f} s"
    ).format(", ".join(summary["outputs"]), guidance, **summary)
