"""What is asked of a model, and what came out: each case is a few figures under its own names.

Every figure has its two baselines where they make sense: the same model before training
(`_untrained`), and what is asked of one clip held against the sound of another (`_shuffled`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import torch
from numpy.random import Generator, default_rng
from torch import Tensor

from ..diffusion.noise import stream, unit_noise
from ..pipeline import Pipeline, Request
from ..pipeline.soundtrack import audible
from ..training.world import LABELS, Scene
from ..training.world.captions import caption
from ..training.world.music import scale_notes
from ..training.world.scenes import EVENT_LABELS
from ..windows import plan
from . import fidelity, music
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

TOLERANCE = 0.15  # s between an onset and the event that it belongs to
RATES = (16.0, 24.0, 25.0, 30.0)  # frames a second
FPS = 25.0  # of a video where the rate is not what is asked
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
RENDERS, RENDERS_APART = 40, 10  # of a class: to learn from, and to judge the classifier by
REPAIRED = (4.0, 7.0)  # s of a sound that are made anew
AROUND = 0.05  # s around a join

Figures = dict[str, Any]
OnClip = Callable[[], object]


@dataclass(frozen=True)
class Sizes:
    """How many clips each case looks at."""

    text: int = 200
    video: int = 100
    rates: int = 18  # at each frame rate
    conflict: int = 24  # at each strength
    music: int = 20
    repair: int = 12
    vae: int = 48
    untrained: int = 24  # of the text and video cases each

    def times(self, share: float) -> "Sizes":
        """A share of them, at least two of each: one cannot be shuffled."""
        return replace(self, **{n: max(2, round(share * v)) for n, v in vars(self).items()})


@dataclass(frozen=True)
class Bench:
    """A model under evaluation."""

    trained: Pipeline
    untrained: Pipeline
    sizes: Sizes
    on_clip: OnClip = lambda: None

    @property
    def rate(self) -> int:
        """Hz."""
        return self.trained.grid.sample_rate

    def hear(self, request: Request, pipeline: Pipeline | None = None) -> Tensor:
        """The sound of a request with the model's own settings, `2 n`."""
        sound = (pipeline or self.trained).generate(request).waveform
        self.on_clip()
        return sound


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
    return classifier, mean(right)


def _render(label: str, number: int, rate: int) -> Tensor:
    return held_out_scene(10_000 + number, label).audio(rate)


def text_case(bench: Bench, classifier: Classifier) -> Figures:
    """Is the class of a prompt heard in its sound?"""
    prompts = [_prompt(n) for n in range(bench.sizes.text)]
    heard = [_class(bench, classifier, text, n) for n, (_, text) in enumerate(prompts)]
    few = prompts[: bench.sizes.untrained]
    lost = [_class(bench, classifier, t, n, bench.untrained) for n, (_, t) in enumerate(few)]
    wanted = [label for label, _ in prompts]
    by_class = {
        label: mean(h == label for h, w in zip(heard, wanted, strict=True) if w == label)
        for label in dict.fromkeys(wanted)
    }
    return {
        "text.accuracy": _share(heard, wanted),
        "text.accuracy_shuffled": _share(heard, wanted[1:] + wanted[:1]),
        "text.accuracy_untrained": _share(lost, wanted[: len(few)]),
        "text.chance": 1 / len(LABELS),
        "text.prompts": len(prompts),
        "text.by_class": by_class,
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


def _share(found: Sequence[str], wanted: Sequence[str]) -> float:
    return mean(a == b for a, b in zip(found, wanted, strict=True))


def video_case(bench: Bench) -> Figures:
    """Does it sound when something happens in the picture? Pictures alone, no words."""
    with TemporaryDirectory() as folder:
        count = bench.sizes.video
        sounds = [_watch(bench, n, even_times(FPS), Path(folder)) for n in range(count)]
        lost = [
            _watch(bench, n, even_times(FPS), Path(folder), bench.untrained)
            for n in range(min(count, bench.sizes.untrained))
        ]
        at_rates = {
            f"{fps:g}": [_watch(bench, n, even_times(fps), Path(folder)) for n in _few(bench)]
            for fps in RATES
        }
        at_rates["variable"] = [
            _watch(bench, n, uneven_times(n), Path(folder)) for n in _few(bench)
        ]
    events = [_events(n) for n in range(count)]
    all_of = _matched(sounds, events)
    return {
        "video.f1": all_of.f1,
        "video.precision": all_of.precision,
        "video.recall": all_of.recall,
        "video.f1_shuffled": _matched(sounds, events[1:] + events[:1]).f1,
        "video.f1_untrained": _matched(lost, events[: len(lost)]).f1,
        "video.onsets_a_second": all_of.found / (count * SECONDS),
        "video.events_a_second": all_of.wanted / (count * SECONDS),
        "video.clips": count,
        "video.offsets": _histogram(all_of.offsets),
        "video.f1_at": {
            name: _matched(found, [_events(n) for n in _few(bench)]).f1
            for name, found in at_rates.items()
        },
    }


def _few(bench: Bench) -> range:
    """Other clips than those of the main figure."""
    return range(1_000, 1_000 + bench.sizes.rates)


def _event_scene(number: int) -> Scene:
    return held_out_scene(number, EVENT_LABELS[number % len(EVENT_LABELS)])


def _events(number: int) -> list[float]:
    return [event.time for event in _event_scene(number).events]


def _watch(
    bench: Bench, number: int, times: Sequence[float], folder: Path,
    pipeline: Pipeline | None = None,
) -> list[float]:  # fmt: skip
    """Onsets of the sound that is made for a scene's pictures."""
    path = write_scene(folder / f"{number}.mp4", _event_scene(number), times)
    return onset_times(bench.hear(Request(video=path, seed=number), pipeline), bench.rate)


def _matched(found: Sequence[list[float]], wanted: Sequence[list[float]]) -> Matching:
    pairs = [match(f, w, TOLERANCE) for f, w in zip(found, wanted, strict=True)]
    return sum(pairs, Matching((), 0, 0))


def _histogram(offsets: Sequence[float]) -> dict[str, int]:
    """How many offsets lie around each multiple of 50 ms."""
    bins = [round(offset / 0.05) for offset in offsets]
    return {f"{50 * number} ms": bins.count(number) for number in range(-3, 4)}


def conflict_case(bench: Bench, classifier: Classifier) -> Figures:
    """A text of one class, pictures of another: which is heard, as one grows and one fades?"""
    curve = []
    with TemporaryDirectory() as folder:
        for strength in STRENGTHS:
            text = video = 0
            for number in range(bench.sizes.conflict):
                seen = held_out_scene(2_000 + number)
                said = LABELS[(number + 1 + number // len(LABELS)) % len(LABELS)]
                path = write_scene(Path(folder) / f"{number}.mp4", seen, even_times(FPS))
                sound = bench.hear(
                    Request(
                        prompt=caption(said, 0, 0, _random(number)), video=path, seed=number,
                        text_strength=strength, video_strength=1 - strength,
                    )
                )  # fmt: skip
                heard = classifier.label(sound, bench.rate)
                text += heard == said
                video += heard == seen.label
            count = bench.sizes.conflict
            curve.append({"text": strength, "as_said": text / count, "as_seen": video / count})
    rising = [point["as_said"] for point in curve]
    falling = [-point["as_seen"] for point in curve]
    return {
        "conflict.curve": curve,
        "conflict.monotone": rising == sorted(rising) and falling == sorted(falling),
        "conflict.clips": bench.sizes.conflict,
    }


def music_case(bench: Bench) -> Figures:
    """Ten seconds of music as the prompt: does what follows keep their key and tempo?"""
    described = bench.trained.grid.described_seconds
    made, real, phrases = [], [], []
    with TemporaryDirectory() as folder:
        for number in range(bench.sizes.music):
            item = held_out_phrase(number, 2 * described)
            audio = item.audio(bench.rate)
            begins, follows = audio.split(audio.shape[-1] // 2, dim=-1)[:2]
            path = write_sound(Path(folder) / f"{number}.wav", begins, bench.rate)
            made.append(bench.hear(Request(audio=path, seconds=SECONDS, seed=number)))
            real.append(follows)
            phrases.append(item)
    others = phrases[1:] + phrases[:1]

    def figures(sounds: Sequence[Tensor], items: Sequence[Any]) -> tuple[float, float]:
        pairs = list(zip(sounds, items, strict=True))
        key = mean(music.share_in_scale(s, bench.rate, scale_notes(i.key)) for s, i in pairs)
        return key, mean(music.keeps_tempo(s, bench.rate, i.bpm) for s, i in pairs)

    (key, tempo), (real_key, real_tempo) = figures(made, phrases), figures(real, phrases)
    other_key, other_tempo = figures(made, others)
    return {
        "audio.in_key": key,
        "audio.in_key_shuffled": other_key,
        "audio.in_key_of_renders": real_key,
        "audio.in_tempo": tempo,
        "audio.in_tempo_shuffled": other_tempo,
        "audio.in_tempo_of_renders": real_tempo,
    }


def repair_case(bench: Bench) -> Figures:
    """Some seconds of a sound made anew: is the rest what it was, and do the joins hold?"""
    rows = []
    with TemporaryDirectory() as folder:
        for number in range(bench.sizes.repair):
            item = held_out_scene(3_000 + number)
            path = write_sound(Path(folder) / f"{number}.wav", item.audio(bench.rate), bench.rate)
            request = Request(
                prompt=item.caption, init_audio=path, inpaint=(REPAIRED,), seed=number
            )
            rows.append(_repair(bench, request))
    return {
        "audio.repair_si_sdr": mean(row[0] for row in rows),
        "audio.repair_si_sdr_of_vae": mean(row[1] for row in rows),
        "audio.repair_known_part_equal": all(row[2] for row in rows),
        "audio.repair_highest_join_rank": max(row[3] for row in rows),
    }


@torch.no_grad()
def _repair(bench: Bench, request: Request) -> tuple[float, float, bool, float]:
    """SI-SDR of the known part before it is pasted back, of the VAE alone; whether it is equal
    afterwards; rank of the sample jumps at the joins."""
    pipeline = bench.trained
    known = pipeline.known_samples(request)
    windows = plan(pipeline.grid, SECONDS)
    sampling, vae = pipeline.sampling(request), pipeline.checkpoint.vae
    conditioning = pipeline.conditioning(request, windows)
    latent = pipeline.latent(request, sampling, windows, conditioning, known=known,
                             on_step=lambda *_: None)  # fmt: skip
    before = vae.decode(latent)[0, :, : known.shape[-1]]
    through = vae.decode(pipeline.known_latent(known, windows))[0, :, : known.shape[-1]]
    after = pipeline.with_known_samples(request, audible(before), known)
    bench.on_clip()
    begin, end = (pipeline.grid.samples(t) for t in REPAIRED)
    # a latent's length inside of what is kept: there the decoder hears what was made anew
    edge = 8 * pipeline.grid.hop_length
    kept = torch.ones(known.shape[-1], dtype=torch.bool)
    kept[begin - edge : end + edge] = False
    outside = torch.ones(known.shape[-1], dtype=torch.bool)
    outside[begin:end] = False
    around = pipeline.grid.samples(AROUND)
    return (
        fidelity.si_sdr(before[:, kept], known[:, kept]),
        fidelity.si_sdr(through[:, kept], known[:, kept]),
        torch.equal(after[:, outside], known[:, : after.shape[-1]][:, outside]),
        max(fidelity.jump_rank(after, join, around) for join in (begin, end)),
    )


@torch.no_grad()
def vae_case(bench: Bench) -> Figures:
    """A sound through the VAE and back: how near is it?"""
    pipeline, distances, ratios = bench.trained, [], []
    vae = pipeline.checkpoint.vae
    for number in range(bench.sizes.vae):
        audio = held_out_scene(4_000 + number).audio(bench.rate)
        whole = audio[:, : audio.shape[-1] // vae.config.hop_length * vae.config.hop_length]
        posterior = vae.encode(whole[None])
        noise = unit_noise(posterior.mean.shape, stream(number, "vae"))
        heard = vae.decode(posterior.sample(noise))[0]
        ratios.append(fidelity.si_sdr(heard, whole))
        distances.append(fidelity.log_spectral_distance(heard, whole, bench.rate))
        bench.on_clip()
    return {"vae.si_sdr": mean(ratios), "vae.log_spectral_distance": mean(distances)}


def run(bench: Bench, only: str = "") -> Iterator[tuple[str, Figures]]:
    """The cases whose name contains `only`, each with its figures when it is done."""
    needs_classes = any(only in name for name in ("text", "conflict"))
    classifier, accuracy = learn_classes(bench.rate) if needs_classes else (None, 0.0)
    cases: dict[str, Callable[[], Figures]] = {
        "vae": lambda: vae_case(bench),
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
