"""`fetch` and `convert`: download weights, and write a model into one file."""

import argparse
import json
import time
from pathlib import Path

from ..arguments import FOLDER, add_force, add_output
from ..checkpoint.released_files import fetch_into
from ..hub.download import Job, fetch, plan
from ..hub.models import LICENCE, MODELS, HubError, find_model
from ..limits import STORED_DTYPE_NAMES
from ..overwrite import check_overwrite
from ..progress_bar import count_bar
from .options import CHECKPOINT, add_json, add_variant, size_text

MODELS_FOLDER = Path("models")


def add_fetch(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fetch` to its parser."""
    parser.description = (
        "Download released weights from Hugging Face. The next run continues an interrupted "
        "download; every file is compared with its hash on the hub, if there is one."
    )
    parser.epilog = "Honours HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE. " + LICENCE
    parser.set_defaults(run=run_fetch, stopped="Stopped; the next run continues from here.")
    add = parser.add_argument
    names = ", ".join(f"{model.short} ({model.name})" for model in MODELS.values())
    add("models", nargs="+", metavar="MODEL", help=names)
    add("--dir", **FOLDER, default=MODELS_FOLDER, help="the models folder; the default is models")
    add("--dry-run", action="store_true", help="print what would be downloaded, with sizes")


def run_fetch(options: argparse.Namespace) -> int:
    """Download, or print what would be downloaded."""
    models = [find_model(name) for name in options.models]
    names = [model.name for model in models]
    if options.dry_run:
        for job in _plan(names, options.dir):
            print(_sentence(job))
        if any(model.non_commercial for model in models):
            print(LICENCE)
        return 0
    with count_bar("downloading", "B", unit_scale=True) as bar:
        jobs = fetch(
            names,
            options.dir,
            on_job=lambda job: bar.write(_sentence(job)),
            on_bytes=bar.update,
        )
    for job in jobs:
        what = "verified" if job.hash else "not verified (the hub gave no hash)"
        print(f"{what}: {job.target}")
    needs = {need for model in models for need in model.needs} - {*names}
    for name in sorted(needs):
        model = MODELS[name]
        if not all((options.dir / model.folder / file.name).is_file() for file in model.files):
            print(f"Still needed: {fetch_into(name, options.dir)}")
    return 0


def add_convert(parser: argparse.ArgumentParser) -> None:
    """Add the options of `convert` to its parser."""
    parser.description = (
        "Write a model, and its VAE if it is a separate file, into one safetensors file with its "
        "sizes in the header and one copy of the VAE."
    )
    parser.epilog = (
        "Norms, biases, gains and embeddings stay float32 with every dtype. With float8_e4m3fn, "
        "the transformer's layers are float8 and the other matrices are float16; float8_scaled "
        "does the same with a scale for each layer, which is more precise, for ComfyUI 0.3.64 and "
        "newer and for this program."
    )
    parser.set_defaults(run=run_convert)
    parser.add_argument("input", **CHECKPOINT, nargs="+", help="model.ckpt [VAE.ckpt]")
    add_output(parser, "the file to write; it ends in .safetensors")
    add_force(parser)
    parser.add_argument(
        "--dtype",
        choices=STORED_DTYPE_NAMES,
        help="data type of the matrices; the default is that of the input",
    )
    add_variant(parser)
    add_json(parser)


def run_convert(options: argparse.Namespace) -> int:
    """Convert, with a progress bar."""
    from ..checkpoint.file_check import check_weights_file

    for path in options.input:
        check_weights_file(path)
    check_overwrite([options.output], force=options.force)
    from ..checkpoint.convert import STORED_DTYPES, convert

    began = time.perf_counter()
    with count_bar("converting", "B", unit_scale=True) as bar:
        made = convert(
            options.input,
            options.output,
            dtype=options.dtype and STORED_DTYPES[options.dtype],
            config=options.config,
            variant=options.variant,
            on_tensor=lambda stored: bar.update(stored.nbytes),
        )
    summary = {
        "output": str(made.path),
        "variant": made.config.variant,
        "tensors": made.tensors,
        "bytes": made.nbytes,
        "vae_copies": made.vae_copies,
        "note": made.config.note,
        "elapsed_seconds": round(time.perf_counter() - began, 2),
    }
    sentence = (
        "{output}: {variant}, {tensors} tensors, {bytes:,} bytes, VAE copies: {vae_copies}, "
        "{elapsed_seconds:.1f} s; {note}"
    )
    print(json.dumps(summary) if options.json else sentence.format(**summary))
    return 0


def _plan(names: list[str], folder: Path) -> list[Job]:
    try:
        return plan(names, folder)
    except HubError as error:
        jobs = plan(names, folder, ask=False)
        print(f"Sizes are unknown because the hub did not answer: {error}")
        return jobs


def _sentence(job: Job) -> str:
    size = "size unknown" if job.size is None else size_text(job.size)
    if job.done:
        state = "already there"
    elif job.have:
        state = f"continues after {size_text(job.have)}"
    else:
        state = "to download"
    return f"{job.model.repo} {job.file} -> {job.target} ({size}, {state})"
