"""What is asked of a model, and what came out: each case is a few figures under its own names.

Every figure has two baselines: the same model before training (`_untrained`), and what is asked of
one clip held against the sound of another (`_shuffled`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import torch
from numpy.random import Generator, default_rng
from torch import Tensor

from ...diffusion.noise import stream, unit_noise
from ...models.oobleck import Oobleck
from ...pipeline import Pipeline, Request, decode, finish, sample
from ..world import LABELS, Scene
from ..world.captions import caption
from ..world.music import scale_notes
from ..world.scenes import EVENT_LABELS
from . import fidelity, music
from .bench import Bench
from .classifier import Classifier, describe, learn, with_hiss
from .clips import (
    SECONDS,
    even_times,
    held_out_phrase,
    held_out_scene,
    uneven_times,
    write_scene,
    write_sound,
)
from .onsets import Matching, match, onset_times
from .untrained import untrained_vae

TOLERANCE = 0.15  # s between an onset and the event that it belongs to
RATES = (16, 24, 25, 30)  # frames a second
FPS = 25.0  # of a video where the rate is not what is asked
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
RENDERS, RENDERS_APART = 40, 10  # of a class: to learn from, and to judge the classifier by
REPAIRED = (4.0, 7.0)  # s of a sound that are made anew
AROUND = 0.05  # s around a join
APART = 3  # clips between a conflict and the one that it is shuffled with: both classes differ

Figures = dict[str, Any]


def learn_classes(rate: int) -> tuple[Classifier, float]:
    """A classifier of rendered sounds, and its accuracy on renders that it has not heard."""
    known = [(label, n) for label in LABELS for n in range(RENDERS)]
    draw = torch.Generator().manual_seed(0)
    sounds = []
    for label, n in known:  # each as it is and as it would be through a poor VAE
        sound = _render(label, n, rate)
        sounds += [describe(sound, rate), describe(with_hiss(sound, draw), rate)]
    classifier = learn(torch.stack(sounds), [label for label, _ in known for _ in range(2)])
    apart = [(label, RENDERS + n) for label in LABELS for n in range(RENDERS_APART)]
    right = [classifier.label(_render(label, n, rate), rate) == label for label, n in apart]
    return classifier, fmean(right)


def _render(label: str, number: int, rate: int) -> Tensor:
    return held_out_scene(10_000 + number, label).audio(rate)


def text_case(bench: Bench, classifier: Classifier) -> Figures:
    """Is the class of a prompt heard in its sound?"""
    prompts = [_prompt(n) for n in range(bench.sizes.text)]
    heard = [_class(bench, classifier, text, n) for n, (_, text) in enumerate(prompts)]
    few = prompts[: bench.sizes.untrained]
    lost = [_class(bench, classifier, t, n, bench.untrained) for n, (_, t) in enumerate(few)]
    return {
        **_recovered("text", heard, lost, [label for label, _ in prompts]),
        "text.chance": 1 / len(LABELS),
        "text.prompts": len(prompts),
    }


def _prompt(number: int) -> tuple[str, str]:
    """A class, and a wording of it without a word on pitch or pace."""
    label = LABELS[number % len(LABELS)]
    return label, caption(label, 0, 0, _random(number))


def _random(number: int) -> Generator:
    return default_rng([number, 11])


def _class(
    bench: Bench, classifier: Classifier, prompt: str, seed: int, pipeline: Pipeline | None = None
) -> str:
    sound = bench.hear(Request(prompt=prompt, seconds=SECONDS, seed=seed), pipeline)
    return classifier.label(sound, bench.rate)


def _recovered(
    name: str, heard: Sequence[str], lost: Sequence[str], wanted: Sequence[str]
) -> Figures:
    """Shares of clips that are heard as what they should be; `lost` are the untrained model's."""
    figures: Figures = {}
    for kind, found, labels in _beside(heard, lost, wanted):
        figures[f"{name}.accuracy{kind}"] = _share(found, labels)
        figures[f"{name}.by_class{kind}"] = {
            label: fmean(f == label for f, w in zip(found, labels, strict=True) if w == label)
            for label in dict.fromkeys(labels)
        }
    wrong = [f"{w} as {h}" for h, w in zip(heard, wanted, strict=True) if h != w]
    return figures | {f"{name}.mistaken": dict(Counter(wrong).most_common())}


def _beside(
    found: Sequence[Any], lost: Sequence[Any], wanted: Sequence[Any]
) -> list[tuple[str, Sequence[Any], Sequence[Any]]]:
    """What was found against what was wanted, with both baselines: ending of the name, and pairs.

    `lost` are the untrained model's, of as many clips as it was asked for.
    """
    return [
        ("", found, wanted),
        ("_shuffled", found, [*wanted[1:], *wanted[:1]]),
        ("_untrained", lost, wanted[: len(lost)]),
    ]


def _share(found: Sequence[str], wanted: Sequence[str]) -> float:
    return fmean(a == b for a, b in zip(found, wanted, strict=True))


def video_case(bench: Bench) -> Figures:
    """Does it sound when something happens in the picture? Pictures alone, no words."""
    count, few = bench.sizes.video, min(bench.sizes.video, bench.sizes.untrained)
    main, others = range(count), range(1_000, 1_000 + bench.sizes.rates)
    even, events = even_times(FPS), [_events(n) for n in main]
    sounds = [_watch(bench, n, even) for n in main]
    lost = [_watch(bench, n, even, bench.untrained) for n in main[:few]]
    figures: Figures = {
        "video.clips": count,
        "video.events_a_second": sum(map(len, events)) / (count * SECONDS),
    }
    for kind, found, wanted in _beside(sounds, lost, events):
        all_of = matched(found, wanted)
        figures[f"video.f1{kind}"] = all_of.f1
        figures[f"video.precision{kind}"] = all_of.precision
        figures[f"video.recall{kind}"] = all_of.recall
        figures[f"video.onsets_a_second{kind}"] = all_of.found / (len(found) * SECONDS)
        figures[f"video.offsets{kind}"] = _histogram(all_of.offsets)
    return figures | _at_rates(bench, others)


def _at_rates(bench: Bench, clips: range) -> Figures:
    """F1 of some clips, written at each frame rate."""
    events = [_events(n) for n in clips]
    figures: Figures = {}
    for name in (*map(str, RATES), "variable"):
        times = [uneven_times(n) if name == "variable" else even_times(float(name)) for n in clips]
        pairs = list(zip(clips, times, strict=True))
        sounds = [_watch(bench, n, frames) for n, frames in pairs]
        lost = [_watch(bench, n, frames, bench.untrained) for n, frames in pairs]
        for kind, found, wanted in _beside(sounds, lost, events):
            figures.setdefault(f"video.f1_at{kind}", {})[name] = matched(found, wanted).f1
    return figures


def _event_scene(number: int) -> Scene:
    return held_out_scene(number, EVENT_LABELS[number % len(EVENT_LABELS)])


def _events(number: int) -> list[float]:
    return [event.time for event in _event_scene(number).events]


def _watch(
    bench: Bench, number: int, times: Sequence[float], pipeline: Pipeline | None = None
) -> list[float]:
    """Onsets of the sound that is made for a scene's pictures."""
    with TemporaryDirectory() as folder:
        path = write_scene(Path(folder) / "scene.mp4", _event_scene(number), times)
        sound = bench.hear(Request(video=path, seed=number), pipeline)
    return onset_times(sound, bench.rate)


def matched(found: Sequence[list[float]], wanted: Sequence[list[float]]) -> Matching:
    """Onsets and events of several clips."""
    pairs = [match(f, w, TOLERANCE) for f, w in zip(found, wanted, strict=True)]
    return sum(pairs, Matching((), 0, 0))


def _histogram(offsets: Sequence[float]) -> dict[str, int]:
    """How many offsets lie around each multiple of 50 ms."""
    bins = [round(offset / 0.05) for offset in offsets]
    return {f"{50 * number} ms": bins.count(number) for number in range(-3, 4)}


def conflict_case(bench: Bench, classifier: Classifier) -> Figures:
    """A text of one class, pictures of another: which is heard, as one grows and one fades?"""
    scenes = [held_out_scene(2_000 + number) for number in range(bench.sizes.conflict)]
    seen = [scene.label for scene in scenes]
    said = [LABELS[(n + 1 + n // len(LABELS)) % len(LABELS)] for n in range(len(scenes))]

    def heard(strength: float, pipeline: Pipeline | None = None) -> list[str]:
        sounds = _torn(bench, zip(scenes, said, strict=True), strength, pipeline)
        return [classifier.label(sound, bench.rate) for sound in sounds]

    found = [heard(strength) for strength in STRENGTHS]
    lost = [heard(strength, bench.untrained) for strength in STRENGTHS]
    curve = _curve(found, said, seen)
    others = (names[APART:] + names[:APART] for names in (said, seen))
    rising = [point["as_said"] for point in curve]
    falling = [-point["as_seen"] for point in curve]
    return {
        "conflict.curve": curve,
        "conflict.curve_shuffled": _curve(found, *others),
        "conflict.curve_untrained": _curve(lost, said, seen),
        "conflict.monotone": rising == sorted(rising) and falling == sorted(falling),
        "conflict.clips": len(scenes),
    }


def _torn(
    bench: Bench, asked: Iterable[tuple[Scene, str]], strength: float, pipeline: Pipeline | None
) -> Iterator[Tensor]:
    """Sounds for scenes and other classes, where text has this strength and video the rest."""
    with TemporaryDirectory() as folder:
        for number, (scene, label) in enumerate(asked):
            path = write_scene(Path(folder) / f"{number}.mp4", scene, even_times(FPS))
            request = Request(
                prompt=caption(label, 0, 0, _random(number)), video=path, seed=number,
                text_strength=strength, video_strength=1 - strength,
            )  # fmt: skip
            yield bench.hear(request, pipeline)


def _curve(
    heard: Sequence[list[str]], said: Sequence[str], seen: Sequence[str]
) -> list[dict[str, float]]:
    return [
        {"text": strength, "as_said": _share(labels, said), "as_seen": _share(labels, seen)}
        for strength, labels in zip(STRENGTHS, heard, strict=True)
    ]


def music_case(bench: Bench) -> Figures:
    """Ten seconds of music as the prompt: does what follows keep their key and tempo?"""
    conditioned = bench.trained.grid.conditioned_seconds
    phrases = [held_out_phrase(number, 2 * conditioned) for number in range(bench.sizes.music)]
    vae = bench.trained.checkpoint.vae
    made, lost, real, through = [], [], [], []
    with TemporaryDirectory() as folder:
        for number, item in enumerate(phrases):
            audio = item.audio(bench.rate)
            begins, follows = audio.split(audio.shape[-1] // 2, dim=-1)[:2]
            path = write_sound(Path(folder) / f"{number}.wav", begins, bench.rate)
            request = Request(audio=path, seconds=SECONDS, seed=number)
            made.append(bench.hear(request))
            lost.append(bench.hear(request, bench.untrained))
            real.append(follows)
            through.append(_through(vae, _in_latents(follows, vae), number, bench.device))
    figures = {}
    for kind, sounds, items in (
        *_beside(made, lost, phrases),
        ("_of_renders", real, phrases),
        ("_of_vae", through, phrases),
    ):
        pairs = list(zip(sounds, items, strict=True))
        figures[f"audio.in_key{kind}"] = fmean(
            music.share_in_scale(s, bench.rate, scale_notes(i.key)) for s, i in pairs
        )
        figures[f"audio.in_tempo{kind}"] = fmean(
            music.keeps_tempo(s, bench.rate, i.bpm) for s, i in pairs
        )
    return figures


@dataclass(frozen=True)
class Repair:
    """What became of the known part of a sound whose other seconds were made anew, `2 n`."""

    known: Tensor  # as it was
    before: Tensor  # as it was made, before it is put back
    through: Tensor  # as the VAE alone gives it back
    equal: bool  # afterwards
    join_rank: float  # of the sample jumps at the joins


def repair_case(bench: Bench) -> Figures:
    """Some seconds of a sound made anew: is the rest what it was, and do the joins hold?"""
    made, lost = [], []
    with TemporaryDirectory() as folder:
        for number in range(bench.sizes.repair):
            item = held_out_scene(3_000 + number)
            path = write_sound(Path(folder) / f"{number}.wav", item.audio(bench.rate), bench.rate)
            request = Request(
                prompt=item.caption, init_audio=path, inpaint=(REPAIRED,), seed=number
            )
            made.append(_repair(bench.trained, request))
            lost.append(_repair(bench.untrained, request))
            bench.on_clip()
    figures: Figures = {
        "audio.repair_known_part_equal": all(row.equal for row in made),
        "audio.repair_highest_join_rank": max(row.join_rank for row in made),
    }
    known = [row.known for row in made]
    for kind, found, wanted in (
        *_beside([row.before for row in made], [row.before for row in lost], known),
        ("_of_vae", [row.through for row in made], known),
    ):
        figures |= _nearness(f"audio.repair_{{}}{kind}", found, wanted, bench.rate)
    return figures


@torch.no_grad()
def _repair(pipeline: Pipeline, request: Request) -> Repair:
    clip, init, seconds = pipeline.sources(request)
    assert init is not None
    start = pipeline.start_latent(request, init, seconds)
    latent = sample(
        pipeline.checkpoint, pipeline.conditioning(request, clip, seconds), start,
        sampling=pipeline.sampling(request), seed=request.seed,
    )  # fmt: skip
    known = init.waveform
    before, through = (
        decode(pipeline.checkpoint, x, seconds)[0].cpu() for x in (latent, start.samples)
    )
    after = finish(before, pipeline.latent_format, init_audio=init)
    begin, end = (pipeline.latent_format.samples(t) for t in REPAIRED)
    # where the decoder hears what was made anew is neither known nor new
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


def _nearness(
    name: str, heard: Sequence[Tensor], wanted: Sequence[Tensor], rate: int
) -> dict[str, float]:
    """Means over pairs of sounds; each figure takes the place of `{}` in the name."""
    pairs = list(zip(heard, wanted, strict=True))
    distances = [fidelity.log_spectral_distance(h, w, rate) for h, w in pairs]
    return {
        name.format("si_sdr"): fmean(fidelity.si_sdr(h, w) for h, w in pairs),
        name.format("log_spectral_distance"): fmean(distances),
    }


def vae_case(bench: Bench, classifier: Classifier) -> Figures:
    """A sound through the VAE and back: how near is it, and is it heard as what it is?"""
    vae, fresh = bench.trained.checkpoint.vae, untrained_vae(bench.trained.checkpoint)
    scenes = [held_out_scene(4_000 + number) for number in range(bench.sizes.vae)]
    whole = [_in_latents(item.audio(bench.rate), vae) for item in scenes]
    heard, lost = [], []
    for number, sound in enumerate(whole):
        heard.append(_through(vae, sound, number, bench.device))
        lost.append(_through(fresh, sound, number, bench.device))
        bench.on_clip()
    named, misnamed = (
        [classifier.label(s, bench.rate) for s in sounds] for sounds in (heard, lost)
    )
    figures = _recovered("vae", named, misnamed, [item.label for item in scenes])
    for kind, found, wanted in _beside(heard, lost, whole):
        figures |= _nearness(f"vae.{{}}{kind}", found, wanted, bench.rate)
    return figures


def _in_latents(sound: Tensor, vae: Oobleck) -> Tensor:
    """As many samples `2 n` as whole latents take."""
    return sound[:, : sound.shape[-1] // vae.config.hop_length * vae.config.hop_length]


@torch.no_grad()
def _through(vae: Oobleck, sound: Tensor, number: int, device: torch.device) -> Tensor:
    posterior = vae.encode(sound[None].to(device))
    noise = unit_noise(posterior.mean.shape, stream(number, "vae")).to(device)
    return vae.decode(posterior.sample(noise))[0].cpu()


def run(bench: Bench, only: str = "") -> Iterator[tuple[str, Figures]]:
    """The cases whose name contains `only`, each with its figures when it is done."""
    needs_classes = any(only in name for name in ("vae", "text", "conflict"))
    classifier, accuracy = learn_classes(bench.rate) if needs_classes else (None, 0.0)
    cases: dict[str, Callable[[], Figures]] = {
        "vae": lambda: vae_case(bench, classifier),
        "text": lambda: (
            text_case(bench, classifier) | {"text.accuracy_of_classifier_on_renders": accuracy}
        ),
        "video": lambda: video_case(bench),
        "conflict": lambda: conflict_case(bench, classifier),
        "music": lambda: music_case(bench),
        "repair": lambda: repair_case(bench),
    }
    for name, case in cases.items():
        if only in name:
            yield name, case()
