"""`python -m tests.bench_host`: our DiT and Oobleck beside ComfyUI's own, at equal sizes.

ComfyUI has the transformer and the VAE of Stable Audio, whose sizes are AudioX's. Both sides get
the same random weights, so that equal outputs show that equal work was timed. ComfyUI is the
baseline: its modules in float32, with the attention that it chooses on this machine, a guided step
as one batch of two, the VAE on the whole sound. What it does around them is not measured.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from math import inf
from typing import NamedTuple

import torch
from torch import Tensor, nn

from audiox_core import Checkpoint, open_checkpoint
from audiox_core.config import AudioXConfig
from audiox_core.diffusion.guidance import guided
from audiox_core.lab.bench import report
from audiox_core.lab.bench.cases import Inputs, plain_step
from audiox_core.lab.bench.timing import Group, measure
from audiox_core.models.dit import DiT
from audiox_core.models.oobleck import ChunkedOobleck, Oobleck
from audiox_core.pipeline.predictor import predictor
from audiox_core.windows import plan_frames

from .host import find_comfyui, why_not

WHY = {
    "dit": "its norms have no offsets (ours are zero)",
    "vae": "it keeps the gains of the weight norm, which ours folds when it loads",
}


class Sides(NamedTuple):
    """The same sizes and weights in our modules and in ComfyUI's."""

    ours: Checkpoint
    in_host: DiT  # ours with ComfyUI's attention, as the nodes run it
    dit: nn.Module  # ComfyUI's
    vae: nn.Module
    attention: str  # which of its kernels ComfyUI chose


def start_comfyui() -> str:
    """Make `comfy` importable; its version. Leaves with the reason where none can be run."""
    if reason := why_not():
        sys.exit(reason)
    sys.path.insert(0, str(find_comfyui()))
    from comfy.cli_args import args
    from comfyui_version import __version__

    args.cpu = not torch.cuda.is_available()  # before anything imports comfy.model_management
    return __version__


def build(config: AudioXConfig, device: torch.device) -> Sides:
    """Both sides; ComfyUI's layout is loaded strictly: RuntimeError where it is another."""
    from comfy.ldm.audio import autoencoder, dit
    from comfy.ops import disable_weight_init as ops

    kernel, c, v = dit.optimized_attention, config.dit, config.vae

    def attention(*qkv: Tensor) -> Tensor:
        return kernel(*qkv, qkv[0].shape[1], skip_reshape=True, low_precision_attention=False)

    with torch.device("meta"):
        model, in_host, vae = DiT(c), DiT(c, attention=attention), Oobleck(v)
        native = dit.AudioDiffusionTransformer(
            c.io_channels, embed_dim=c.width, cond_token_dim=c.cond_dim, depth=c.depth,
            global_cond_dim=c.global_dim, num_heads=c.width // c.head_dim,
            ff_kwargs={"mult": c.ff_mult}, operations=ops,
        )  # fmt: skip
        sizes = v.io_channels, v.channels, v.latent_channels, [*v.multipliers], [*v.strides]
        native_vae = autoencoder.AudioOobleckVAE(*sizes)
    weights, codec = _random(model), _random(vae)
    pairs = {model: weights, in_host: weights, native: _gammas(weights, c.rotary_dim)}
    for module, state in {**pairs, vae: codec, native_vae: _weight_norm(codec)}.items():
        module.load_state_dict({k: t.to(device) for k, t in state.items()}, assign=True)
        module.eval().requires_grad_(False)
    embedded = open_checkpoint().load(device=device)  # its conditioners are not measured
    ours = replace(embedded, backbone=model, vae=vae, config=config)
    return Sides(ours, in_host, native, native_vae, kernel.__name__)


def _random(module: nn.Module) -> dict[str, Tensor]:
    """Weights that keep signals near unit variance."""
    generator, state = torch.Generator().manual_seed(0), {}
    for name, like in module.state_dict().items():
        z = torch.randn(like.shape, generator=generator)
        state[name] = z / like[0].numel() ** 0.5 if like.ndim > 1 else 0.1 * z
        if "norm." in name:
            state[name] = torch.full(like.shape, float(name.endswith("weight")))
    return state


def _gammas(state: dict[str, Tensor], rotary: int) -> dict[str, Tensor]:
    """The transformer's weights under ComfyUI's names: a norm has a `gamma` and no offset."""
    frequencies = 10_000 ** (-torch.arange(0, rotary, 2) / rotary)
    kept = {k: t for k, t in state.items() if not k.endswith("norm.bias")}
    named = {k.replace("norm.weight", "norm.gamma"): t for k, t in kept.items()}
    return named | {"transformer.rotary_pos_emb.inv_freq": frequencies}


def _weight_norm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The VAE's weights as ComfyUI holds them: a gain and a direction."""
    split = {k: t for k, t in state.items() if t.ndim < 3}
    for key in state.keys() - split.keys():
        path, gain = key.removesuffix("weight"), state[key].flatten(1).norm(dim=1)
        split[f"{path}parametrizations.weight.original0"] = gain.view(-1, 1, 1)
        split[f"{path}parametrizations.weight.original1"] = state[key]
    return split


def groups(sides: Sides) -> Iterator[Group]:
    """What is measured; ComfyUI comes first."""
    inputs, model, vae = Inputs(sides.ours), sides.ours.backbone, sides.ours.vae
    grid, sampling = sides.ours.config.latent, sides.ours.config.sampling
    windows, given = plan_frames(grid, grid.window), inputs.conditioning
    x, t, tokens = inputs.latent, torch.full((1,), 0.5, device=inputs.device), given.positive
    prepared, both = cache(lambda: model.prepare(tokens)), torch.cat([tokens, given.negative])
    forward = {
        "ComfyUI": lambda: sides.dit(x, t, context=tokens),
        "ours, plain path": lambda: model(x, t, tokens),
        "ours": lambda: model(x, t, prepared()),
    }
    yield Group("forward", forward)
    steps = {
        "ComfyUI": guided(lambda x, t: sides.dit(x, t, context=both), (sampling.cfg,), 0.0),
        "ours, plain path": plain_step(model, both, sampling),
        "ours, ComfyUI's attention": predictor(sides.in_host, given, sampling, windows),
        "ours": predictor(model, given, sampling, windows),
    }
    yield Group("guided step", {k: (lambda step=step: step(x, t)) for k, step in steps.items()})
    decode = {
        "ComfyUI": lambda: sides.vae.decode(x),
        "ours, whole": lambda: vae.decode(x),
        "ours, in chunks": lambda: ChunkedOobleck(vae).decode(x),
    }
    yield Group("decode a window", decode)
    audio = inputs.waveform[None].to(inputs.device)
    encode = {
        "ComfyUI": lambda: sides.vae.encoder(audio).chunk(2, dim=1)[0],  # the mean, no draw
        "ours, whole": lambda: vae.encode(audio).mean,
        "ours, in chunks": lambda: ChunkedOobleck(vae).encode(audio).mean,
    }
    yield Group("encode 10 s", encode)


@torch.no_grad()
def difference(group: Group) -> float:
    """The most that an output differs from ComfyUI's, in standard deviations of it."""
    first, *others = (way() for way in group.ways.values())
    return max(((other - first).abs().max() / first.std()).item() for other in others)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table, or everything as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_host", description=__doc__)
    parser.add_argument("--size", choices=("toy", "released"), default="toy")
    parser.add_argument("--depth", type=int, default=3, help="layers of the transformer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    settings = {"size": options.size, "depth": options.depth, "comfyui": start_comfyui()}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = AudioXConfig() if options.size == "released" else open_checkpoint().config
    # 128 time frequencies, whatever the embedded model has: ComfyUI's always has them
    dit = replace(config.dit, depth=options.depth, time_frequencies=128)
    sides = build(replace(config, dit=dit), device)
    pairs = {
        "dit": {"ours": sides.ours.backbone, "comfyui": sides.dit},
        "vae": {"ours": sides.ours.vae, "comfyui": sides.vae},
    }
    settings["its attention"] = sides.attention
    show = partial(print, file=sys.stderr if options.json else sys.stdout, flush=True)
    show(", ".join(f"{k} {v}" for k, v in (settings | report.machine(device)).items()))
    lines, numbers, differences = [], {}, {}
    for part, both in pairs.items():
        n = numbers[part] = {k: sum(p.numel() for p in m.parameters()) for k, m in both.items()}
        show(f"{part}: {n['ours']:,} parameters, ComfyUI's {n['comfyui']:,}: {WHY[part]}")
    show(report.header())
    for group in groups(sides):
        lines += (new := measure(group, rounds=options.rounds, budget=inf, device=device))
        show("\n".join(map(report.row, new)))
        differences[group.name] = difference(group)
    apart = ", ".join(f"{name} {far:.1e}" for name, far in differences.items())
    show(f"outputs differ, in standard deviations, by at most: {apart}")
    if options.json:
        settings |= {"parameters": numbers, "differences": differences}
        print(json.dumps(report.summary(settings, lines, device), indent=2))


if __name__ == "__main__":
    main()
