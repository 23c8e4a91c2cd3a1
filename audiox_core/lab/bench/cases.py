"""What is measured of a checkpoint, and the plain ways beside it.

Axes: `b` batch, `c` channels, `t` latent frames, `f` video frames, `s` tokens, `d` width.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from ...checkpoint.checkpoint_file import Checkpoint, load_checkpoint
from ...conditioners.assemble import Conditioning
from ...conditioners.audio import encode_waveform
from ...config import AudioXConfig, SamplingConfig
from ...diffusion.guidance import guided
from ...diffusion.noise import initial_noise
from ...diffusion.objectives import Predict
from ...media.audio import write_audio
from ...models import Backbone, Prepared
from ...models.dit import Context
from ...models.mmdit import MMDiT, TimeAttention
from ...models.oobleck import ChunkedOobleck
from ...models.synchformer import sync_features
from ...pipeline.decode import decode, finish
from ...pipeline.encode import Features, assemble
from ...pipeline.predictor import predictor
from ...pipeline.sampling import StartLatent, sample
from ...windows import plan, plan_frames
from .commands import COMMANDS, ROOT, cpu_of_commands, run_command
from .names import NAMES
from .timing import Group, Way

PROMPT = "heavy rain on a metal roof, thunder far away"


class Inputs:
    """Everything that the cases begin from, random and made when it is first needed."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.device, self.latent_format = checkpoint.device, checkpoint.config.latent
        self.random = torch.Generator().manual_seed(0)

    @cached_property
    def frames(self) -> Tensor:
        """A clip, `f 3 h w` in 0..255."""
        video = self.checkpoint.config.video
        shape = (video.frames, 3, video.clip.image, video.clip.image)
        return torch.randint(0, 256, shape, generator=self.random).float()

    @cached_property
    def waveform(self) -> Tensor:
        """Ten seconds of noise, `2 n`."""
        samples = self.latent_format.samples(self.latent_format.conditioned_seconds)
        return 0.3 * torch.randn(2, samples, generator=self.random)

    @cached_property
    def latent(self) -> Tensor:
        """A window of unit noise, `1 c t`."""
        shape = (1, self.latent_format.channels, self.latent_format.window)
        return initial_noise(shape, 0).to(self.device)

    @cached_property
    def conditioning(self) -> Conditioning:
        """Random tokens in both branches' places; only the positive one's are not zero."""
        config = self.checkpoint.config
        shape = (1, config.tokens, config.dit.cond_dim)
        positive = torch.randn(shape, generator=self.random)
        positive = positive.to(self.device)
        return Conditioning(positive, torch.zeros_like(positive), windows=1)

    @cached_property
    def sync_frames(self) -> Tensor:
        """The same clip for Synchformer, `f 3 h w` in 0..255: no two segments are equal."""
        sync = self.checkpoint.config.video.sync
        shape = (sync.frames, 3, sync.encoder.image, sync.encoder.image)
        return torch.randint(0, 256, shape, generator=self.random).to(torch.uint8)

    def sync(self, at_once: int | None = None) -> Tensor | None:
        """Synchformer features `1 s d`; None if the model does not use them."""
        if self.checkpoint.config.video.sync is None:
            return None
        return sync_features(self.checkpoint.conditioners.sync, self.sync_frames, at_once=at_once)

    def text(self) -> Tensor:
        """Tokens `1 s d` of a prompt."""
        return self.checkpoint.conditioners.text.encode([PROMPT])

    def video(self) -> Tensor:
        """Tokens `1 s d` of the clip."""
        return self.checkpoint.conditioners.video.encode(self.frames, sync=self.sync())

    def audio(self) -> Tensor:
        """Tokens `1 s d` of the noise."""
        return encode_waveform(
            self.checkpoint.conditioners.audio,
            self.checkpoint.vae,
            self.waveform,
            self.latent_format,
        )


def names(config: AudioXConfig) -> list[str]:
    """The cases that a model has: not all look at a video twice."""
    return [name for name in NAMES if config.video.sync is not None or name != "encode sync"]


def groups(checkpoint: Checkpoint, *, steps: int, only: str = "") -> Iterator[Group]:
    """The cases whose name contains `only`, one by one, so that each frees what it needed.

    Args:
        checkpoint: with all its parts.
        steps: of the end to end run.
        only: a part of the names in `NAMES`.
    """
    makers = {
        "load": lambda _: {"ours": lambda: _load(checkpoint)},
        "encode text": lambda inputs: {"ours": inputs.text},
        "encode video": lambda inputs: {"ours": inputs.video},
        "encode image": _image,
        "encode sync": _sync,
        "encode audio": lambda inputs: {"ours": inputs.audio},
        "forward": _forward,
        "guided step": _guided_step,
        "long step": _long_step,
        "decode": _decode,
        "long sound": _long_sound,
        "end to end": lambda inputs: _end_to_end(inputs, steps),
        **{name: partial(_commands, name) for name in COMMANDS},
    }
    for name in names(checkpoint.config):
        if only in name:
            clock = cpu_of_commands if name in COMMANDS else time.perf_counter
            yield Group(name, makers[name](Inputs(checkpoint)), clock)


def _load(checkpoint: Checkpoint) -> Checkpoint:
    return load_checkpoint(checkpoint.path, dtype=checkpoint.dtype, device=checkpoint.device)


def _image(inputs: Inputs) -> dict[str, Way]:
    conditioner, picture = inputs.checkpoint.conditioners.video, inputs.frames[0]
    clip = picture.expand(len(inputs.frames), -1, -1, -1)
    return {
        "as a clip": lambda: conditioner.encode(clip),
        "ours": lambda: conditioner.encode_image(picture),
    }


def _sync(inputs: Inputs) -> dict[str, Way]:
    at_once = 8
    return {
        "one segment at a time": lambda: inputs.sync(1),
        f"{at_once} segments at once": lambda: inputs.sync(at_once),
        "ours": inputs.sync,
    }


def _forward(inputs: Inputs) -> dict[str, Way]:
    model, dtype = inputs.checkpoint.backbone, inputs.checkpoint.dtype
    x, t = inputs.latent.to(dtype), torch.full((1,), 0.5, device=inputs.device)
    tokens = inputs.conditioning.positive.to(dtype)
    context = cache(lambda: model.prepare(tokens))
    return {"plain path": lambda: model(x, t, tokens), "ours": lambda: model(x, t, context())}


def _guided_step(inputs: Inputs) -> dict[str, Way]:
    """The plain path, each shortcut alone, and all of them."""
    checkpoint, conditioning = inputs.checkpoint, inputs.conditioning
    model, sampling = checkpoint.backbone, checkpoint.config.sampling
    sampling = replace(sampling, cfg=max(sampling.cfg, 2.0))  # guided, whatever the model's own is
    both = torch.cat([conditioning.positive, conditioning.negative]).to(checkpoint.dtype)
    windows = plan_frames(inputs.latent_format, inputs.latent_format.window)
    ours = predictor(model, conditioning, sampling, windows)
    ways = {
        "plain path": plain_step(model, both, sampling),
        **(_mmdit_ways if isinstance(model, MMDiT) else _dit_ways)(model, both, sampling),
        "ours": ours,
    }
    x, t = inputs.latent, torch.full((1,), 0.5, device=inputs.device)
    return {name: (lambda step=step: step(x, t)) for name, step in ways.items()}


def _long_step(inputs: Inputs) -> dict[str, Way]:
    """A guided step of a minute, whose windows have tokens of their own; one window beside it."""
    model, sampling = inputs.checkpoint.backbone, inputs.checkpoint.config.sampling
    sampling = replace(sampling, cfg=max(sampling.cfg, 2.0))
    t, ways = torch.full((1,), 0.5, device=inputs.device), {}
    for name, seconds in (("one window", inputs.latent_format.conditioned_seconds), ("ours", 60.0)):
        layout = plan(inputs.latent_format, seconds)
        positive = inputs.conditioning.positive.repeat(1, layout.windows, 1)
        given = Conditioning(positive, torch.zeros_like(positive), windows=layout.windows)
        shape = (1, inputs.latent_format.channels, layout.frames)
        x = initial_noise(shape, 0).to(inputs.device)
        ways[name] = partial(predictor(model, given, sampling, layout), x, t)
    return ways


def _dit_ways(model: Any, both: Tensor, sampling: SamplingConfig) -> dict[str, Predict]:
    # made at the first step, so that their memory counts
    embedded, kept = cache(lambda: model.to_cond_embed(both)), cache(lambda: model.prepare(both))
    return {
        "condition embedding once": _step(model, sampling, lambda: _attend(model, embedded())),
        "keys and values once": _step(model, sampling, kept),
        "null branch without cross attention": _step(
            model, sampling, lambda: model.prepare(both[:1], [0, None])
        ),
    }


def _mmdit_ways(model: Any, both: Tensor, sampling: SamplingConfig) -> dict[str, Predict]:
    kept = cache(lambda: model.prepare(both))
    return {
        "modulations once": _asking(model, _step(model, sampling, kept)),
        "time attention by its value": _step(model, sampling, lambda: model.prepare(both)),
    }


def plain_step(model: Backbone, tokens: Tensor, sampling: SamplingConfig) -> Predict:
    """A guided step that keeps nothing: tokens of both branches, `2 s d`, through all layers."""
    step = _step(model, sampling, lambda: model.prepare(tokens))
    return _asking(model, step) if isinstance(model, MMDiT) else step


def _asking(model: Any, step: Predict) -> Predict:
    """A step that also computes the queries of the time attention, which change nothing."""

    def run(x: Tensor, t: Tensor) -> Tensor:
        hooks = [
            layer.cross_attn.register_forward_pre_hook(_ask) for layer in model.transformer.layers
        ]
        try:
            return step(x, t)
        finally:
            for hook in hooks:
                hook.remove()

    return run


def _ask(attention: TimeAttention, inputs: tuple[Tensor, ...]) -> None:
    attention.to_q(inputs[0])


def _step(model: Backbone, sampling: SamplingConfig, context: Callable[[], Prepared]) -> Predict:
    dtype = model.transformer.project_in.weight.dtype
    cfg, rescale = sampling.cfg, sampling.cfg_rescale
    return guided(lambda x, t: model(x.to(dtype), t, context()).float(), (cfg,), rescale)


def _attend(model: Any, embedded: Tensor) -> Context:
    return Context([b.cross_attn.keys_values(embedded) for b in model.transformer.layers])


def _decode(inputs: Inputs) -> dict[str, Way]:
    vae, latent = inputs.checkpoint.vae, inputs.latent
    return {
        "whole": lambda: vae.decode(latent),
        "in chunks": lambda: ChunkedOobleck(vae).decode(latent),
    }


def _long_sound(inputs: Inputs) -> dict[str, Way]:
    """From latents to a file; what it holds grows by no more than the sound."""

    def written(seconds: float) -> None:
        latent_format = inputs.latent_format
        shape = (1, latent_format.channels, plan(latent_format, seconds).frames)
        latent = initial_noise(shape, 0).to(inputs.device)
        sound = decode(inputs.checkpoint, latent, seconds)[0].cpu()
        with TemporaryDirectory(prefix="audiox-") as folder:
            sound = finish(sound, latent_format, in_place=True)
            write_audio(Path(folder) / "sound.wav", sound, latent_format.sample_rate)

    return {"ten seconds": partial(written, 10.0), "ours": partial(written, 30.0)}


def _commands(name: str, _inputs: Inputs) -> dict[str, Way]:
    return {way: partial(run_command, ROOT, name, way) for way in COMMANDS[name]}


def _end_to_end(inputs: Inputs, steps: int) -> dict[str, Way]:
    """From all three inputs to sound, and once more with another seed."""
    checkpoint = inputs.checkpoint

    def conditioned() -> Conditioning:
        return assemble(
            checkpoint,
            text=inputs.text(),
            video=Features("video", inputs.video(), checkpoint.variant),
            audio=Features("audio", inputs.audio(), checkpoint.variant),
        )

    known = cache(conditioned)
    return {
        f"{steps} steps": lambda: _sound(checkpoint, conditioned(), inputs.latent, steps),
        f"{steps} steps, another seed": lambda: _sound(checkpoint, known(), inputs.latent, steps),
    }


def _sound(checkpoint: Checkpoint, conditioning: Conditioning, noise: Tensor, steps: int) -> Tensor:
    sampling = replace(checkpoint.config.sampling, steps=steps)
    start = StartLatent(torch.zeros_like(noise))
    return decode(checkpoint, sample(checkpoint, conditioning, start, sampling=sampling))
