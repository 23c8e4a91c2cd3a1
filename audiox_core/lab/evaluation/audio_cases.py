"""Cases that compare sounds: music continuations and repaired seconds."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from ...pipeline.decode import decode, finish
from ...pipeline.pipeline import Pipeline
from ...pipeline.request import Request
from ...pipeline.sampling import sample
from ..world.music import scale_notes
from . import fidelity, music
from .clips import SECONDS, held_out_phrase, held_out_scene, write_sound
from .figures import Figures, with_baselines
from .models_under_test import ModelsUnderTest
from .vae_case import in_latents, nearness, reconstruct

REPAIRED = (4.0, 7.0)  # s of a sound that are regenerated
AROUND = 0.05  # s around a join


def music_case(models: ModelsUnderTest) -> Figures:
    """Ten seconds of music as the prompt: does the continuation keep their key and tempo?"""
    conditioned = models.trained.latent_format.conditioned_seconds
    phrases = [
        held_out_phrase(number, 2 * conditioned, models.catalogue)
        for number in range(models.sizes.music)
    ]
    vae = models.trained.checkpoint.vae
    made, baseline, real, decoded = [], [], [], []
    with TemporaryDirectory() as folder:
        for number, item in enumerate(phrases):
            audio = item.audio(models.rate)
            begins, follows = audio.split(audio.shape[-1] // 2, dim=-1)[:2]
            path = write_sound(Path(folder) / f"{number}.wav", begins, models.rate)
            request = Request(audio=path, seconds=SECONDS, seed=number)
            made.append(models.generate(request))
            baseline.append(models.generate(request, models.untrained))
            real.append(follows)
            decoded.append(reconstruct(vae, in_latents(follows, vae), number, models.device))
    figures = {}
    for kind, sounds, items in (
        *with_baselines(made, baseline, phrases),
        ("_of_renders", real, phrases),
        ("_of_vae", decoded, phrases),
    ):
        pairs = list(zip(sounds, items, strict=True))
        figures[f"audio.in_key{kind}"] = fmean(
            music.share_in_scale(s, models.rate, scale_notes(i.key)) for s, i in pairs
        )
        figures[f"audio.in_tempo{kind}"] = fmean(
            music.keeps_tempo(s, models.rate, i.bpm) for s, i in pairs
        )
    return figures


@dataclass(frozen=True)
class Repair:
    """The kept part of a sound whose other seconds were regenerated, `2 n`."""

    known: Tensor  # as it was
    before: Tensor  # as it was generated, before the original replaces it
    through: Tensor  # through the VAE alone
    equal: bool  # afterwards
    join_rank: float  # of the sample jumps at the joins


def repair_case(models: ModelsUnderTest) -> Figures:
    """Some seconds of a sound regenerated: is the rest unchanged, and are the joins smooth?"""
    made, baseline = [], []
    with TemporaryDirectory() as folder:
        for number in range(models.sizes.repair):
            item = held_out_scene(3_000 + number, None, models.catalogue)
            path = write_sound(Path(folder) / f"{number}.wav", item.audio(models.rate), models.rate)
            request = Request(
                prompt=item.caption, init_audio=path, inpaint=(REPAIRED,), seed=number
            )
            made.append(_repair(models.trained, request))
            baseline.append(_repair(models.untrained, request))
            models.on_clip()
    figures: Figures = {
        "audio.repair_known_part_equal": all(row.equal for row in made),
        "audio.repair_highest_join_rank": max(row.join_rank for row in made),
    }
    known = [row.known for row in made]
    for kind, found, targets in (
        *with_baselines([row.before for row in made], [row.before for row in baseline], known),
        ("_of_vae", [row.through for row in made], known),
    ):
        figures |= nearness(f"audio.repair_{{}}{kind}", found, targets, models.rate)
    return figures


@torch.no_grad()
def _repair(pipeline: Pipeline, request: Request) -> Repair:
    sources = pipeline.sources(request)
    init = sources.init_audio
    assert init is not None
    start = pipeline.start_latent(request, init, sources.seconds)
    latent = sample(
        pipeline.checkpoint,
        pipeline.conditioning(request, sources.clip, sources.seconds),
        start,
        sampling=pipeline.sampling(request),
        seed=request.seed,
    )
    known = init.waveform
    before, through = (
        decode(pipeline.checkpoint, x, sources.seconds)[0].cpu() for x in (latent, start.samples)
    )
    after = finish(before, pipeline.latent_format, init_audio=init)
    begin, end = (pipeline.latent_format.samples(t) for t in REPAIRED)
    # near the joins the decoder mixes kept and regenerated latents
    edge = 8 * pipeline.latent_format.hop_length
    samples = known.shape[-1]
    kept = torch.ones(samples, dtype=torch.bool)
    kept[begin - edge : end + edge] = False
    outside = torch.ones(samples, dtype=torch.bool)
    outside[begin:end] = False
    around = pipeline.latent_format.samples(AROUND)
    return Repair(
        known[:, kept],
        before[:, kept],
        through[:, kept],
        torch.equal(after[:, outside], known[:, : after.shape[-1]][:, outside]),
        max(fidelity.jump_rank(after, join, around) for join in (begin, end)),
    )
