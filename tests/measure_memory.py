"""`python -m tests.measure_memory`: what ComfyUI has on the GPU, for each variant and setting.

Models of released size, whose weights are zeros in sparse files (nothing is computed with them),
are loaded as the nodes load them, each part when it is used. The ComfyUI in COMFYUI_PATH has a
simulated GPU of a given size (`tests/small_gpu.py`). The peak is the weights that are loaded and
the memory that the node reserves for the computation, at the step that has most.
"""

import argparse
import importlib
import importlib.util
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace
from unittest import mock

import torch

from .host import ROOT, find_comfyui
from .small_gpu import Loaded, SmallGpu

GB, GIB = 1e9, 1 << 30
VARIANTS = ("audiox-turbo", "audiox", "audiox-maf")  # the other two are as large as Turbo
DTYPES = ("float16", "float8_scaled", "bfloat16")
SETTINGS = {  # in words -> of `SmallGpu`
    "24 GB": {"limit": 24 * GIB},
    "8 GB": {"limit": 8 * GIB},
    "4 GB": {"limit": 4 * GIB},
    "4 GB, --lowvram": {"limit": 4 * GIB, "state": "LOW_VRAM"},
    "4 GB, --novram": {"limit": 4 * GIB, "state": "NO_VRAM"},
    "4 GB, --cpu-vae": {"limit": 4 * GIB, "cpu_vae": True},
    "4 GB, dynamic": {"limit": 4 * GIB, "dynamic": True},
}
KINDS = {
    "TextConditioner": "T5",
    "VideoConditioner": "CLIP",
    "Synchformer": "Synchformer",
    "MAFBlock": "MAF",
    "AudioXModel": "transformer",
    "InterruptibleOobleck": "VAE",
}


def start_comfyui() -> SimpleNamespace:
    """ComfyUI and the pack in it, in this process."""
    sys.path.insert(0, str(find_comfyui()))
    from comfy.cli_args import args

    args.cpu = True  # before anything imports comfy.model_management
    importlib.import_module("utils.extra_config")
    import comfy.model_management as mm
    import comfy.model_patcher as patchers

    name = "audiox-pack-to-measure"
    spec = importlib.util.spec_from_file_location(
        name, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])

    def ours(module: str) -> ModuleType:
        return importlib.import_module(f"{name}.{module}")

    return SimpleNamespace(mm=mm, patchers=patchers, ours=ours)


def sparse_file(host: SimpleNamespace, variant: str, dtype: str, path: Path) -> Path:
    """A file of released size, of zeros, which takes no room on the disk."""
    core = "audiox_core.checkpoint"
    layout, stored = host.ours(f"{core}.layout"), host.ours(f"{core}.weight_file").Stored
    scaled = host.ours(f"{core}.scaled_float8")
    config = host.ours("audiox_core.variants").VARIANTS[variant]
    shapes = layout.released_layout(config, prompt_vae=False)
    shapes |= layout.text_layout(config.text, layout.TEXT)
    if config.video.sync is not None:
        shapes |= layout.synchformer_layout(
            config.video.sync.encoder, layout.SYNC + layout.SYNC_ENCODER
        )
    shapes.pop(layout.INV_FREQ, None)
    file = host.ours(f"{core}.weight_file").WeightFile(
        path, {name: stored(shape, torch.float16) for name, shape in shapes.items()}
    )
    if dtype == "float8_scaled":
        file = scaled.scaled_float8(file, older=True)
    elif dtype == "bfloat16":
        tensors = {
            name: stored(s.shape, torch.bfloat16 if name.startswith(layout.DIT) else s.dtype)
            for name, s in file.tensors.items()
        }
        file = host.ours(f"{core}.weight_file").WeightFile(path, tensors)
    tokenizer = importlib.import_module("tests.toys").make_tokenizer().to_str()
    header = {"format": "pt", "audiox": config.to_json(), "tokenizer": tokenizer}
    text = host.ours(f"{core}.write")._header(file.tensors, header)
    with path.open("wb") as out:
        out.write(text)
        out.truncate(len(text) + sum(tensor.nbytes for tensor in file.tensors.values()))
    return path


def load_parts(host: SimpleNamespace, path: Path, dtype: str) -> SimpleNamespace:
    """What AudioX Load Checkpoint makes of a file."""
    file = host.ours("audiox_core.checkpoint.checkpoint_file").open_checkpoint(path)
    modules = host.ours("audiox_core.checkpoint.modules")
    with mock.patch.object(modules, "check_numbers", lambda _file, _name, tensor: tensor):
        model, conditioners, vae = host.ours("nodes.bridge.checkpoint").load_all(file, dtype)
    return SimpleNamespace(file=file, model=model, conditioners=conditioners, vae=vae)


def phases(host: SimpleNamespace, parts: SimpleNamespace, gpu: SmallGpu) -> Mapping[str, Loaded]:
    """What is loaded at each step of a sound of ten seconds with guidance."""
    found = {}
    for name in ("text", "video", "sync", "maf"):
        if name in parts.conditioners.patchers:
            parts.conditioners.use(name)
            found[name] = gpu.log[-1]
    shape = [2, 64, 236]
    need = parts.model.model.memory_required(shape)
    least = parts.model.model.memory_required([1, *shape[1:]])
    host.mm.load_models_gpu([parts.model], memory_required=need, minimum_memory_required=least)
    found["sampling"] = gpu.log[-1]
    decode = parts.vae.memory_used_decode((1, *shape[1:]), parts.vae.vae_dtype)
    host.mm.load_models_gpu([parts.vae.patcher], memory_required=decode)
    found["decoding"] = gpu.log[-1]
    return found


def measure(host: SimpleNamespace, path: Path, dtype: str) -> Iterator[tuple[str, Mapping]]:
    """The steps with each setting."""
    with SmallGpu(24 * GIB, least=None, half=True).here():
        loaded = load_parts(host, path, dtype)
    for setting, values in SETTINGS.items():
        with SmallGpu(**values, least=None, half=True).here() as gpu:
            other_patchers = gpu.dynamic or gpu.state != "NORMAL_VRAM"
            parts = load_parts(host, path, dtype) if other_patchers else copy(loaded)
            if gpu.cpu_vae:
                parts.vae = host.ours("nodes.bridge.vae").load_vae(loaded.file.vae)
            yield setting, phases(host, parts, gpu)


def describe(loaded: Loaded) -> str:
    """What is on the GPU, in words."""
    models = {KINDS.get(kind, kind): size / GB for kind, size in loaded.models.items()}
    words = [f"{name} {size:.2f}" for name, size in sorted(models.items())]
    if loaded.staged:
        words.append(f"{loaded.staged / GB:.2f} layer by layer")
    return ", ".join(words) or "nothing"


def show(variant: str, dtype: str, setting: str, found: Mapping[str, Loaded]) -> None:
    """Print the peak, and what is loaded at each step."""
    peak = max(loaded.peak for loaded in found.values()) / GB
    print(f"{variant:13} {dtype:14} {setting:16} peak {peak:5.2f} GB")
    for step, loaded in found.items():
        print(f"    {step:10} {describe(loaded)}; reserved {loaded.reserved / GB:.2f}", flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure_memory", description=__doc__)
    parser.add_argument("--variant", choices=VARIANTS, action="append")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    host, rows = start_comfyui(), []
    if not hasattr(host.patchers, "ModelPatcherDynamic"):  # ComfyUI 0.3.64
        del SETTINGS["4 GB, dynamic"]
    with TemporaryDirectory() as folder:
        for variant in options.variant or VARIANTS:
            for dtype in DTYPES:
                path = sparse_file(host, variant, dtype, Path(folder) / "sparse.safetensors")
                for setting, found in measure(host, path, dtype):
                    rows.append((variant, dtype, setting, found))
                    if not options.json:
                        show(*rows[-1])
    if options.json:
        print(json.dumps([[*row[:3], {k: vars(v) for k, v in row[3].items()}] for row in rows]))


if __name__ == "__main__":
    main()
