"""The VAE: ten seconds decoded whole, in pieces, in batches; how half precision sounds."""

from functools import partial

import torch
from torch import Tensor

from audiox_core import open_checkpoint
from audiox_core.models.oobleck import ChunkedOobleck, Oobleck

from .bench import DTYPES, Bench, Row, precision
from .models import V1, Zoo

FRAMES = 216  # of ten seconds
FFT, HOP = 2048, 512
FLOOR = 1e-8  # of the largest power: what is below -80 dB does not count


@torch.no_grad()
def run(bench: Bench, zoo: Zoo) -> None:
    """Each precision beside float32."""
    latent = _latent(bench, zoo, 1)
    with precision("float32"):
        expected = zoo.vae("float32").decode(latent)
    flops = None
    for name in bench.precisions:
        vae, x = zoo.vae(name), latent.to(DTYPES[name])
        ways = {
            "whole": partial(vae.decode, x),
            "in pieces of 48": partial(ChunkedOobleck(vae).decode, x),
            "in pieces of 96": partial(ChunkedOobleck(vae, chunk=96).decode, x),
        }
        for way, call in ways.items():
            known = flops if way == "whole" else None
            with bench.guard("decode 10 s", V1, name, way), precision(name):
                distance = log_spectral_distance(call().float(), expected)
                note = f"log-spectral distance to float32 {distance:.3f} dB"
                data = {"log_spectral_distance_db": distance}
                names = ("decode 10 s", V1, name, way)
                row = bench.time(names, call, flops=known, note=note, data=data)
                flops = row.flops if row and way == "whole" else flops
    _tuned(bench, zoo, latent, flops)
    batch = 2 if bench.toy else 8
    for name in bench.precisions[: 3 if bench.cuda else 1]:
        many = _latent(bench, zoo, batch).to(DTYPES[name])
        call = partial(zoo.vae(name).decode, many)
        bench.time((f"decode 10 s, batch {batch}", V1, name, "whole"), call)
    for name in bench.precisions:
        frames = FRAMES // 18 if bench.toy else FRAMES
        audio = 0.3 * torch.randn(1, 2, frames * 2048, device=bench.device)
        call = partial(zoo.vae(name).encode, audio.to(DTYPES[name]))
        bench.time(("encode 10 s", V1, name, "whole"), call)


def _latent(bench: Bench, zoo: Zoo, batch: int) -> Tensor:
    frames = 12 if bench.toy else FRAMES
    shape = (batch, zoo.config(V1).latent.channels, frames)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(bench.device)


def _tuned(bench: Bench, zoo: Zoo, latent: Tensor, flops: int | None) -> None:
    """With cuDNN trying its algorithms first; the first run tells what that takes."""
    if not bench.cuda:
        return
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        for name in (bench.half, "tf32"):
            call = partial(zoo.vae(name).decode, latent.to(DTYPES[name]))
            names = ("decode 10 s", V1, name, "whole, cudnn.benchmark")
            bench.time(names, call, flops=flops, count=False)
    finally:
        torch.backends.cudnn.benchmark = before


@torch.no_grad()
def compiled(bench: Bench, zoo: Zoo) -> None:
    """The decoder through torch.compile; it may take half a minute to warm up."""
    if not bench.cuda:
        return
    if bench.left < 75:
        bench.add(Row("decode 10 s", V1, bench.half, "compiled", note="not run: no time left"))
        return
    vae, latent = zoo.vae(bench.half), _latent(bench, zoo, 1).to(DTYPES[bench.half])
    with bench.guard("decode 10 s", V1, bench.half, "compiled"):
        call = partial(torch.compile(vae.decode, dynamic=False), latent)
        note = "first_run_seconds is the warm-up"
        bench.time(("decode 10 s", V1, bench.half, "compiled"), call, count=False, note=note)


@torch.no_grad()
def embedded(bench: Bench) -> None:
    """The embedded model's trained VAE: what half precision changes in a real sound."""
    with bench.guard("trained VAE", "audiox-nano"):
        vae = open_checkpoint().load_vae(device=bench.device)
        audio = _sound(3 if bench.toy else 10, bench.device)
        with precision("float32"):
            latent = vae.encode(audio).mean
            expected = vae.decode(latent)
        for name in bench.precisions:
            half: Oobleck = open_checkpoint().load_vae(device=bench.device)
            with bench.guard("trained VAE", "audiox-nano", name), precision(name):
                half.to(DTYPES[name])
                found = half.decode(latent.to(DTYPES[name])).float()
                distance = log_spectral_distance(found, expected)
                noise = (found - expected).square().mean() / expected.square().mean()
                decibel = 10 * noise.clamp(min=1e-20).log10().item()
                note = f"log-spectral distance {distance:.3f} dB, error {decibel:.1f} dB"
                data = {"log_spectral_distance_db": distance, "error_db": decibel}
                bench.add(Row("trained VAE", "audiox-nano", name, "decode", note=note, data=data))


def _sound(seconds: int, device: torch.device) -> Tensor:
    """Harmonics that glide, and bursts of noise; `1 2 n`."""
    time = torch.arange(seconds * 44_100) / 44_100
    phase = 2 * torch.pi * (220 * time + 20 * time.square())
    tone = sum((k * phase).sin() / k for k in range(1, 8))
    random = torch.Generator().manual_seed(2)
    noise = torch.randn(len(time), generator=random) * ((time * 2) % 1 < 0.1)
    both = 0.2 * tone + 0.3 * noise
    whole = both[: both.numel() // 2048 * 2048]
    return torch.stack([whole, whole.flip(0)])[None].to(device)


def log_spectral_distance(found: Tensor, expected: Tensor) -> float:
    """Root mean square over frequencies of the difference in dB, averaged over time; `b 2 n`."""
    window = torch.hann_window(FFT, device=found.device)

    def power(audio: Tensor) -> Tensor:
        flat = audio.flatten(0, 1).float()
        return torch.stft(flat, FFT, HOP, window=window, return_complex=True).abs().square()

    reference = power(expected)
    floor = FLOOR * reference.max()
    a, b = (10 * p.clamp(min=floor).log10() for p in (power(found), reference))
    return (a - b).square().mean(dim=1).sqrt().mean().item()
