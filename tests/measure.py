"""`python -m tests.measure FOLDER`: time and peak memory of the tools around weights at full size.

Makes the files of a release and a T5-base with random numbers in FOLDER where they are not there
yet (v1's 1357 tensors and T5: 6.5 GB; the MMDiT models: 12 GB), and runs each tool in a process of
its own. The peak is that of RssAnon + RssFile above their value after the imports, so the pages of
a mapped file count.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save_file

from audiox_core.checkpoint.layout import (
    AUDIO_VAE,
    INV_FREQ,
    SYNC_ENCODER,
    VAE,
    oobleck_layout,
    released_layout,
    synchformer_layout,
    text_layout,
)
from audiox_core.checkpoint.weight_file import Shape
from audiox_core.config import AudioXConfig, TextConfig
from audiox_core.hub.models import MODELS, OPTIONAL
from audiox_core.variants import VARIANTS

from .toys import make_tokenizer

ROOT = Path(__file__).parents[1]
IMPORTS = """
import sys, torch
from pathlib import Path
from audiox_core import cli, open_checkpoint

def touch(*parts):
    tensors = {t.data_ptr(): t for part in parts for t in part.state_dict().values()}
    for tensor in tensors.values():
        tensor.view(-1)[:: 1024 // tensor.element_size()].sum()  # every page, without a copy
    print(sum(tensor.nbytes for tensor in tensors.values()))

print("ready", flush=True)
sys.stdin.readline()
"""


class Run(NamedTuple):
    """What a process took."""

    seconds: float
    peak: int  # bytes above the value after the imports
    output: str
    code: int


def measure(code: str, *arguments: object, poll: float = 0.002, imports: str = IMPORTS) -> Run:
    """Run Python code after some imports; watch its memory from outside."""
    command = [sys.executable, "-c", imports + code, *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == "ready\n"
    base = peak = resident(process.pid)
    began = time.perf_counter()
    process.stdin.write("\n")
    process.stdin.flush()
    while process.poll() is None:
        peak = max(peak, resident(process.pid))
        time.sleep(poll)
    seconds = time.perf_counter() - began
    return Run(seconds, peak - base, process.stdout.read(), process.returncode)


def resident(pid: int) -> int:
    """RssAnon + RssFile of a process, bytes; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(ln.split()[1]) * 1024 for ln in lines if ln.startswith(("RssAnon", "RssFile")))


def make(folder: Path, variant: str = "audiox") -> Path:
    """The files of a release at full size with random weights, and a T5-base; the model's own."""
    config, release = VARIANTS[variant], MODELS[variant]
    text = folder / "models" / "text_encoders" / "t5-base"
    files = [
        folder / "models" / release.folder / f.name for f in release.files if f.name != OPTIONAL
    ]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            torch.save({"state_dict": random_state(config, path.name.lower())}, path)
    if not (text / "model.safetensors").is_file():
        text.mkdir(parents=True, exist_ok=True)
        layout = text_layout(TextConfig())
        save_file({n: torch.randn(s) * 0.02 for n, s in layout.items()}, text / "model.safetensors")
        make_tokenizer().save(str(text / "tokenizer.json"))
    return files[0]


def random_state(config: AudioXConfig, name: str = "model.ckpt") -> dict[str, torch.Tensor]:
    """A file's tensors; two equal copies of the VAE, each with numbers of its own in the file."""
    generator = torch.Generator().manual_seed(0)
    layout, state = released_layout(config), {}
    if name.startswith("vae"):
        layout = oobleck_layout(config.vae)
    elif name.startswith("synchformer"):
        layout = synchformer_layout(config.video.sync.encoder, SYNC_ENCODER)
    for key, shape in layout.items():
        state[key] = _random(key, shape, generator)
    for key in [key for key in state if key.startswith(AUDIO_VAE)]:
        state[key] = state[VAE + key.removeprefix(AUDIO_VAE)].clone()
    return state


def _random(key: str, shape: Shape, generator: torch.Generator) -> torch.Tensor:
    if key == INV_FREQ:
        return 10_000 ** (-torch.arange(0, 32, 2) / 32)
    if key.endswith("norm.beta"):
        return torch.zeros(shape)
    return torch.randn(shape, generator=generator) * 0.02


LOAD = """
parts, file = sys.argv[2].split(","), open_checkpoint(sys.argv[1])
touch(*(getattr(file, f"load_{part}")() for part in parts))
"""
LOAD_WHOLE = """
made = open_checkpoint(sys.argv[1]).load(dtype=getattr(torch, sys.argv[2]))
touch(made.conditioners, made.backbone, made.vae)
"""
COMMAND = "sys.exit(cli.main(sys.argv[1:]))"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--variant", choices=VARIANTS, default="audiox")
    options = parser.parse_args()
    model = make(options.folder, options.variant)
    half, whole = (model.with_name(f"{name}.safetensors") for name in ("half", "whole"))
    runs = {
        "load, all parts": (LOAD_WHOLE, model, "float32"),
        "load, backbone": (LOAD, model, "backbone"),
        "load, conditioners": (LOAD, model, "conditioners"),
        "load, VAE": (LOAD, model, "vae"),
        "load, all parts, float16": (LOAD_WHOLE, model, "float16"),
        "inspect": (COMMAND, "inspect", model),
        "inspect --deep": (COMMAND, "inspect", model, "--deep"),
        "convert": (COMMAND, "convert", model, "--output", whole),
        "convert --dtype float16": (COMMAND, "convert", model, "--dtype", "float16", "-o", half),
        "load, all parts, converted": (LOAD_WHOLE, whole, "float32"),
        "load, all parts, from float16": (LOAD_WHOLE, half, "float32"),
    }
    for name, (code, *arguments) in runs.items():
        run = measure(code, *arguments)
        parts = int(run.output.split()[-1]) if code in (LOAD, LOAD_WHOLE) else None
        share = f"{run.peak / parts:6.3f} x {parts / 1e9:.3f} GB" if parts else ""
        print(f"{name:32} {run.seconds:7.1f} s {run.peak / 1e9:7.3f} GB  {share}", flush=True)


if __name__ == "__main__":
    main()
