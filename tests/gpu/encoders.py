"""The encoders: Synchformer, CLIP with the transformer over time, T5, the fusion block."""

from copy import deepcopy
from functools import partial

import torch
from einops import rearrange
from torch import Tensor

from audiox_core import Features, assemble, encode_text
from audiox_core.models.synchformer import Synchformer, sync_features, sync_pixels

from .bench import DTYPES, Bench, precision
from .models import TURBO, V1, Zoo, filled
from .steps import profiled, rms

PROMPT = "heavy rain on a metal roof, thunder far away"


def pixels(frames: int, size: int) -> Tensor:
    """Frames of noise on the CPU, `f 3 h w` uint8: no two are equal."""
    random = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (frames, 3, size, size), generator=random, dtype=torch.uint8)


@torch.no_grad()
def run(bench: Bench, zoo: Zoo) -> None:
    """Each encoder on ten seconds."""
    _sync(bench, zoo)
    _video(bench, zoo)
    host = zoo.checkpoint(TURBO, bench.half)
    conditioners, vae = host.conditioners, host.vae
    text = partial(encode_text, host, PROMPT)
    bench.time(("T5, a prompt", V1, "float32", "eager"), text)
    tokens = text()
    width = tokens.shape[-1]
    shown = torch.randn(1, zoo.config(TURBO).video.tokens, width, device=bench.device)
    video = Features("video", shown, host.variant)
    fused = partial(assemble, host, text=tokens, video=video)
    fused()  # encodes silence once
    bench.time(("fusion of the tokens", TURBO, "float32", "eager"), fused)
    bench.add(profiled(("profile", "fusion", "float32", ""), fused))
    bench.add(profiled(("profile", "T5", "float32", ""), text))
    silence = partial(conditioners.audio.absent, lambda: vae)
    bench.time(("encode silence", TURBO, "float32", "no audio prompt"), silence)


def _sync(bench: Bench, zoo: Zoo) -> None:
    config = zoo.config(TURBO).video.sync
    frames = pixels(24 if bench.toy else config.frames, config.encoder.image)
    build = partial(Synchformer, config.encoder)
    with precision("float32"):
        reference = sync_features(filled(build, torch.float32, bench.device), frames)
    known = None
    for name in bench.precisions:
        case = "Synchformer 10 s"
        with bench.guard(case, TURBO, name):
            model = filled(build, DTYPES[name], bench.device)
            made = sync_features(model, frames)
            error = rms(made, reference)
            note = f"differs from float32 by {error:.1e} std"
            for at_once in (10, 30):
                call = partial(sync_features, model, frames, at_once=at_once)
                names = (case, TURBO, name, f"{at_once} segments at once")
                row = bench.time(names, call, flops=known, note=note)
                known = row.flops if row else known
            inputs = _segments(frames, config, DTYPES[name], bench.device)
            names = (case, TURBO, name, "network alone, one batch")
            bench.time(names, partial(model, inputs), flops=known)
            if name == bench.half:
                bench.add(profiled(("profile", "Synchformer", name, "10 segments"), model,
                                   inputs[:10]))  # fmt: skip


def _segments(frames: Tensor, config, dtype: torch.dtype, device: torch.device) -> Tensor:
    size, step = config.encoder.segment, config.encoder.step
    starts = range(0, len(frames) - size + 1, step)
    segments = torch.stack([frames[start : start + size] for start in starts]).to(device)
    return rearrange(sync_pixels(segments).to(dtype), "n f c h w -> n c f h w")


def _video(bench: Bench, zoo: Zoo) -> None:
    config = zoo.config(V1).video
    frames = pixels(config.frames, config.clip.image)
    loaded = zoo.conditioners(V1).video
    reference = loaded.encode(frames)
    for name in bench.precisions:
        case = "CLIP and time 10 s"
        with bench.guard(case, V1, name):
            model = deepcopy(loaded).to(DTYPES[name])
            made = model.encode(frames).float()
            error = rms(made, reference)
            note = f"differs from float32 by {error:.1e} std"
            bench.time((case, V1, name, "eager"), partial(model.encode, frames), note=note)
            if name == bench.half:
                call = model.encode
                bench.add(profiled(("profile", "CLIP and time", name, ""), call, frames))
