"""A request as a user makes it: text, text and video, another seed; loading from disk."""

import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file
from torch import Tensor

from audiox_core import FeatureCache, Pipeline, Request, load_checkpoint, open_checkpoint
from audiox_core.checkpoint.layout import TEXT, released_layout, text_layout, used
from audiox_core.config import AudioXConfig

from ..toys import make_tokenizer
from .bench import Bench
from .encoders import PROMPT
from .models import TURBO, V1, Zoo

SECONDS = 10


def run(bench: Bench, zoo: Zoo) -> None:
    """Turbo from text, from text and video, from what is already encoded."""
    half = bench.half
    checkpoint = zoo.checkpoint(TURBO, half, half)
    pipeline = Pipeline(checkpoint)
    seconds = 2 if bench.toy else SECONDS
    text = Request(prompt=PROMPT, seconds=seconds)
    case = f"end to end {seconds} s"
    bench.time((case, TURBO, half, "text"), partial(pipeline.generate, text))
    with TemporaryDirectory() as folder:
        video = Path(folder) / "clip.mp4"
        with bench.guard(case, TURBO, half, "text and video"):
            write_clip(video, seconds)
            both = replace(text, video=video)
            bench.time((case, TURBO, half, "text and video"), partial(pipeline.generate, both))
            cached, seeds = Pipeline(checkpoint, FeatureCache()), count(1)
            names = (case, TURBO, half, "text and video, another seed")
            cached.generate(both)  # fills the cache: what is counted and timed finds it full
            bench.time(names, lambda: cached.generate(replace(both, seed=next(seeds))))


def write_clip(path: Path, seconds: int, size: tuple[int, int] = (640, 360)) -> None:
    """A moving pattern, 25 frames a second."""
    import av

    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, 25)
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        for index in range(25 * seconds):
            picture = torch.stack([x + 5 * index, y + 3 * index, x + y], dim=-1).remainder(256)
            frame = av.VideoFrame.from_ndarray(picture.to(torch.uint8).numpy(), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def loading(bench: Bench, zoo: Zoo) -> None:
    """v1 from a float16 file with all its parts, deleted afterwards."""
    if bench.left < 0:
        return
    with TemporaryDirectory() as folder, bench.guard("load", V1, "float16", "from disk"):
        path = Path(folder) / "model.safetensors"
        config = zoo.config(V1)
        write_model(path, config, bench.device)
        size = path.stat().st_size
        ways: dict[str, Callable[[], object]] = {
            "file in memory": partial(_load, bench, path),
            "file dropped from memory": lambda: (_drop(path), _load(bench, path)),
            "transformer alone, file in memory": lambda: open_checkpoint(path).load_backbone(
                dtype=torch.float16, device=bench.device
            ),
        }
        for way, call in ways.items():
            row = bench.time(
                ("load", V1, "float16", way), call, count=False, budget=1,
                note=f"a file of {size / 1e9:.2f} GB",
            )  # fmt: skip
            rate = bench.rates.get("copy to the device")
            if row and row.seconds and rate:
                share = size / row.seconds / rate
                bench.rows[-1] = replace(row, share=share, note=f"{row.note}; share of the copy")


def _load(bench: Bench, path: Path) -> object:
    return load_checkpoint(path, dtype=torch.float16, device=bench.device)


def _drop(path: Path) -> None:
    """Let the system forget what it holds of a file."""
    if hasattr(os, "posix_fadvise"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def write_model(path: Path, config: AudioXConfig, device: torch.device) -> None:
    """A file in the released layout; its numbers are drawn on the device."""
    layout = released_layout(config, prompt_vae=False) | text_layout(config.text, TEXT)
    random = torch.Generator(device=device).manual_seed(0)

    def draw(name: str) -> Tensor:
        shape = layout[name]
        if name.endswith(("weight_g", "gamma")) or (len(shape) == 1 and name.endswith("weight")):
            return torch.ones(shape, dtype=torch.float16)
        z = 0.02 * torch.randn(shape, generator=random, device=device)
        return z.half().cpu()

    tokenizer = make_tokenizer().to_str()
    header = {"format": "pt", "audiox": config.to_json(), "tokenizer": tokenizer}
    save_file({name: draw(name) for name in used(layout)}, path, metadata=header)
