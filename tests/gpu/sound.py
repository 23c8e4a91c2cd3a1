"""From noise to sound on the host: Turbo and v1, ten seconds, long sounds, several takes."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from audiox_core import StartLatent, decode, sample
from audiox_core.checkpoint.checkpoint_file import Checkpoint
from audiox_core.conditioners.assemble import Conditioning
from audiox_core.diffusion.noise import initial_noise, step_noise
from audiox_core.diffusion.objectives import OBJECTIVES
from audiox_core.diffusion.samplers import solve
from audiox_core.pipeline.accelerate import GraphedPredict
from audiox_core.pipeline.predictor import predictor
from audiox_core.windows import plan

from .bench import Bench, count_flops, precision
from .device import capture
from .models import TURBO, V1, Zoo
from .steps import rms


class Take:
    """A run with fixed conditioning, as `Pipeline.generate` does it after the encoders."""

    def __init__(
        self, checkpoint: Checkpoint, conditioning: Conditioning, seconds: float = 10.0,
        batch: int = 1, steps: int | None = None,
    ) -> None:  # fmt: skip
        self.checkpoint, self.conditioning = checkpoint, conditioning
        config = checkpoint.config
        self.grid, self.trained = config.latent, OBJECTIVES[config.objective]
        self.sampling = replace(config.sampling, steps=steps or config.sampling.steps)
        low, high = self.sampling.sigma_min, self.sampling.sigma_max
        self.sigmas = self.trained.schedule(self.sampling.steps, low, high)
        self.windows, self.seconds = plan(self.grid, seconds), seconds
        self.shape = (batch, self.grid.channels, self.windows.frames)

    def noise(self, seed: int) -> Tensor:
        """What the solver begins from, before it is scaled."""
        return initial_noise(self.shape, seed).to(self.checkpoint.device)

    def start(self, noise: Tensor) -> Tensor:
        """Noise at the first sigma."""
        return self.trained.noised_fully(torch.zeros_like(noise), noise, self.sigmas[0].item())

    @torch.no_grad()
    def latent(self, seed: int = 0) -> Tensor:
        """Clean latents, eager."""
        start = StartLatent(torch.zeros(self.shape, device=self.checkpoint.device))
        given = self.conditioning
        return sample(self.checkpoint, given, start, sampling=self.sampling, seed=seed)

    @torch.no_grad()
    def sound(self, seed: int = 0) -> Tensor:
        """A waveform on the CPU, eager."""
        return self.decoded(self.latent(seed)).cpu()

    def decoded(self, latent: Tensor) -> Tensor:
        """As the pipeline: what lies behind the end is not decoded."""
        return decode(self.checkpoint, latent, self.seconds)

    def predict(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The guided network of the run."""
        backbone = self.checkpoint.backbone
        return predictor(backbone, self.conditioning, self.sampling, self.windows)

    def solved(
        self, predict: Callable[..., Tensor], start: Tensor, fresh: Callable[..., Tensor]
    ) -> Tensor:
        """The solver over a network that was made before."""
        denoiser = self.trained.denoiser(predict)
        name, noised = self.sampling.sampler, self.trained.noised
        return solve(name, denoiser, start, self.sigmas, noise_sampler=fresh, noised=noised)

    @torch.no_grad()
    def with_graph_of_the_network(self) -> Callable[[int], Tensor]:
        """The network is a CUDA graph; the solver and the decoder stay eager."""
        predict = GraphedPredict(self.predict())

        def sound(seed: int = 0) -> Tensor:
            noise = self.noise(seed)
            latent = self.solved(predict, self.start(noise), step_noise(noise, seed))
            return self.decoded(latent).cpu()

        return sound

    @torch.no_grad()
    def with_one_graph(self) -> Callable[[int], Tensor]:
        """All steps and the decoder are one CUDA graph; noise is drawn on the CPU before it."""
        noises = torch.stack([self.noise(0) for _ in range(len(self.sigmas) - 1)])
        predict = self.predict()

        def whole() -> Tensor:
            fresh = iter(noises[1:])
            latent = self.solved(predict, self.start(noises[0]), lambda *_: next(fresh))
            return self.decoded(latent)

        replay = capture(whole)

        def sound(seed: int = 0) -> Tensor:
            noise = initial_noise(self.shape, seed)
            draw = step_noise(noise, seed)
            noises.copy_(torch.stack([noise, *(draw() for _ in noises[1:])]))
            return replay().cpu()

        return sound


def turbo(bench: Bench, zoo: Zoo) -> None:
    """Ten seconds without encoders: eager, with graphs, with a half-precision VAE."""
    half = bench.half
    pairs = [(half, half), (half, "float32"), ("bfloat16", "float16"), ("float32", "float32")]
    for name, vae in pairs[:1] if bench.toy else pairs:
        case = f"sound 10 s, VAE {vae}"
        flops, eager = None, None
        for way in ("eager", "graph of the network", "one graph"):
            if way != "eager" and not bench.cuda:
                continue
            with bench.guard(case, TURBO, name, way), precision(name):
                checkpoint = zoo.checkpoint(TURBO, name, vae)
                call = _way(Take(checkpoint, zoo.conditioning(TURBO)), way)
                note = ""
                if way == "eager":
                    eager = call(5)
                elif eager is not None:
                    error = rms(call(5), eager)
                    note = f"differs from eager by {error:.1e} std"
                row = bench.time((case, TURBO, name, way), call, flops=flops, note=note)
                flops = row.flops if row else flops


def _way(take: Take, way: str) -> Callable[..., Tensor]:
    if way == "graph of the network":
        return take.with_graph_of_the_network()
    return take.with_one_graph() if way == "one graph" else take.sound


def v1(bench: Bench, zoo: Zoo) -> None:
    """v1's own 250 steps, and 20 of them."""
    few, many = (1, 2) if bench.toy else (20, 250)
    for way in ("eager", "graph of the network"):
        if way != "eager" and not bench.cuda:
            continue
        with bench.guard("sound 10 s, v1", V1, bench.half, way):
            checkpoint = zoo.checkpoint(V1, bench.half, bench.half)
            take = Take(checkpoint, zoo.conditioning(V1), steps=few)
            flops = count_flops(take.sound)
            names = (f"sound 10 s, {few} steps", V1, bench.half, way)
            bench.time(names, _way(take, way), flops=flops)
            noise, step = take.noise(0), take.predict()
            time = torch.full((1,), 0.5, device=noise.device)
            step(noise, time)
            flops += (many - few) * count_flops(partial(step, noise, time))
            take = Take(checkpoint, zoo.conditioning(V1), steps=many)
            names = (f"sound 10 s, {many} steps", V1, bench.half, way)
            bench.time(names, _way(take, way), flops=flops, warm_up=False)


def takes(bench: Bench, zoo: Zoo) -> None:
    """Eight takes at once."""
    batch = 2 if bench.toy else 8
    for variant, steps in ((TURBO, None), (V1, 20))[: 1 if bench.toy else 2]:
        case = f"{batch} takes of 10 s" + (f", {steps} steps" if steps else "")
        with bench.guard(case, variant, bench.half, "eager"):
            checkpoint = zoo.checkpoint(variant, bench.half, bench.half)
            take = Take(checkpoint, zoo.conditioning(variant), batch=batch, steps=steps)
            bench.time((case, variant, bench.half, "eager"), take.sound)
            bench.time((f"{case}, latents", variant, bench.half, "eager"), take.latent)


def long(bench: Bench, zoo: Zoo) -> None:
    """Sounds of several windows; seconds a window beside those of one."""
    lengths = [(TURBO, 60.0, None), (TURBO, 300.0, None), (V1, 60.0, 10)]
    lengths = [(TURBO, 12.0, None)] if bench.toy else lengths
    for variant, seconds, steps in lengths:
        case = f"sound {seconds:g} s" + (f", {steps} steps" if steps else "")
        if bench.left < 0:
            return
        with bench.guard(case, variant, bench.half, "eager"):
            checkpoint = zoo.checkpoint(variant, bench.half, bench.half)
            one = Take(checkpoint, zoo.conditioning(variant), steps=steps)
            windows = plan(one.grid, seconds).windows
            given = zoo.conditioning(variant, windows)
            take = Take(checkpoint, given, seconds, steps=steps)
            short = bench.time((f"{case}: one window", variant, bench.half, "latents"),
                               one.latent)  # fmt: skip
            whole = bench.time((f"{case}: {windows} windows", variant, bench.half, "latents"),
                               take.latent)  # fmt: skip
            note = ""
            if short and whole and short.seconds and whole.seconds:
                note = f"its latents take {whole.seconds / short.seconds:.2f} x one window's"
            call = partial(take.sound, 1)
            bench.time((case, variant, bench.half, "with decoding"), call, note=note)
