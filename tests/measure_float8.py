"""`python -m tests.measure_float8 [FOLDER]`: what eight bits save and cost, against bfloat16.

The embedded model: sizes, and how far 20 steps of the same seeds end from each other, with the
distance of another seed beside it. Only the transformer's weights differ; all compute in float32.
With FOLDER also a v1 of released size with random weights, which is written there (19 GB): the
files, the peak of memory while ComfyUI's loader (COMFYUI_PATH) reads the transformer, and the
difference of one prediction.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from audiox_core import StartLatent, assemble, decode, encode_text, load_checkpoint, open_checkpoint
from audiox_core import sample as sample_latents
from audiox_core.checkpoint.checkpoint_file import EMBEDDED
from audiox_core.checkpoint.convert import STORED_DTYPES, convert
from audiox_core.lab.evaluation.fidelity import log_spectral_distance

from .host import ROOT, find_comfyui
from .measure import make, measure

PROMPTS = ("rain", "city traffic", "a drum", "a bird")
DTYPES = ("bfloat16", "float8_scaled", "float8_e4m3fn")
SEED, OTHER_SEED, STEPS = 0, 1, 20
HOST = f"""
import importlib.util, sys
sys.path.insert(0, {str(find_comfyui())!r})
from comfy.cli_args import args
args.cpu = True
import utils.extra_config, torch, comfy.model_management
spec = importlib.util.spec_from_file_location(
    "pack", {str(ROOT / "__init__.py")!r}, submodule_search_locations=[{str(ROOT)!r}])
sys.modules["pack"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["pack"])
model = importlib.import_module("pack.nodes.bridge.model")
from pack.audiox_core.checkpoint.checkpoint_file import open_checkpoint
print("ready", flush=True)
sys.stdin.readline()
"""
LOAD = """
made = model.load_model(open_checkpoint(sys.argv[1]), sys.argv[2]).model.diffusion_model
tensors = {t.data_ptr(): t for t in made.state_dict().values()}
for tensor in tensors.values():
    tensor.flatten().view(torch.uint8)[::1024].sum()
print(sum(tensor.nbytes for tensor in tensors.values()))
"""


def relative(found: Tensor, expected: Tensor) -> float:
    """Root mean square of the difference, in parts of that of what was expected."""
    return ((found - expected).square().mean() / expected.square().mean()).sqrt().item()


def embedded(folder: Path) -> None:
    """Print sizes and differences of the trained model."""
    paths = {}
    for name in DTYPES:
        paths[name] = folder / f"{name}.safetensors"
        convert([EMBEDDED], paths[name], dtype=STORED_DTYPES[name])
    checkpoint = load_checkpoint(paths["bfloat16"], device="cpu")

    def sounds(name: str, seed: int) -> list[tuple[Tensor, Tensor]]:
        made = replace(checkpoint, backbone=open_checkpoint(paths[name]).load_backbone())
        sampling = replace(made.config.sampling, steps=STEPS)
        found = []
        for prompt in PROMPTS:
            conditioning = assemble(made, text=encode_text(made, prompt))
            start = StartLatent(torch.zeros(1, made.config.latent.channels, 236))
            latent = sample_latents(made, conditioning, start, sampling=sampling, seed=seed)
            found.append((latent, decode(made, latent)[0]))
        return found

    rate = checkpoint.config.latent.sample_rate
    expected = sounds("bfloat16", SEED)
    print(f"embedded model, {STEPS} steps, {len(PROMPTS)} prompts; mean difference to bfloat16")
    for name, seed in [(n, SEED) for n in DTYPES] + [("bfloat16", OTHER_SEED)]:
        pairs = list(zip(sounds(name, seed), expected, strict=True))
        error = sum(relative(a[0], b[0]) for a, b in pairs) / len(pairs)
        distance = sum(log_spectral_distance(a[1], b[1], rate) for a, b in pairs) / len(pairs)
        size = paths[name].stat().st_size
        print(f"{name:14} seed {seed} {size:12,} bytes  latents {error:.4f}  {distance:.2f} dB")


@torch.no_grad()
def released(folder: Path) -> None:
    """Print files, memory and the difference of a prediction at released size."""
    original, outputs = make(folder), {}
    draw = torch.Generator().manual_seed(SEED)
    x, other = (torch.randn(1, 64, 236, generator=draw) for _ in range(2))
    tokens = torch.randn(1, 471, 768, generator=draw)
    print("v1 of released size, random weights")
    for name in DTYPES:
        path = folder / f"{name}.safetensors"
        if not path.is_file():
            convert([original], path, dtype=STORED_DTYPES[name])
        run = measure(LOAD, path, name, imports=HOST)
        size, held = path.stat().st_size / 1e9, int(run.output.split()[-1]) / 1e9
        print(
            f"{name:14} file {size:.2f} GB, transformer {held:.2f} GB, load {run.seconds:.1f} s, "
            f"peak {run.peak / 1e9:.2f} GB",
            flush=True,
        )
        backbone = open_checkpoint(path).load_backbone()
        outputs[name] = backbone(x, torch.tensor([0.5]), tokens)
        if name == "bfloat16":
            outputs["another noise"] = backbone(other, torch.tensor([0.5]), tokens)
        del backbone
    for name, output in outputs.items():
        print(f"{name:14} prediction {relative(output, outputs['bfloat16']):.4f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure_float8", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        embedded(Path(folder))
    if options.folder is not None:
        released(options.folder)


if __name__ == "__main__":
    main()
