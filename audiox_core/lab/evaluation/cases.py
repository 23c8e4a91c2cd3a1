"""The cases of the evaluation: each gives a few figures under its own names.

Every figure has two baselines: the same model before training (`_untrained`), and the conditions
of one clip compared with the sound of another (`_shuffled`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import torch
from numpy.random import Generator, default_rng
from torch import Tensor

from ...analysis.onsets import Matching, match, onset_times
from ...pipeline.pipeline import Pipeline
from ...pipeline.request import Request
from ..world.rendered_scene import RenderedScene
from .audio_cases import music_case, repair_case
from .catalogue import EFFECTS, SYNTHETIC, Catalogue
from .classifier import Classifier, describe, learn, with_hiss
from .clips import SECONDS, even_times, held_out_scene, uneven_times, write_scene
from .figures import Figures, class_figures, share_equal, with_baselines
from .models_under_test import ModelsUnderTest
from .timeline_case import timeline_case
from .vae_case import vae_case

TOLERANCE = 0.15  # s between an onset and the event that it belongs to
RATES = (16, 24, 25, 30)  # frames a second
FPS = 25.0  # of a video where the rate is not what is asked
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
RENDERS, RENDERS_APART = 40, 10  # of a class: to learn from, and to judge the classifier by
APART = 3  # clips between a conflict and the one that it is shuffled with: both classes differ


def learn_classes(rate: int, catalogue: Catalogue = SYNTHETIC) -> tuple[Classifier, float]:
    """A classifier of rendered sounds, and its accuracy on renders that it was not trained on."""

    def render(label: str, number: int) -> Tensor:
        return held_out_scene(10_000 + number, label, catalogue).audio(rate)

    known = [(label, n) for label in catalogue.labels for n in range(RENDERS)]
    draw = torch.Generator().manual_seed(0)
    sounds, shares = [], catalogue.shares
    for label, n in known:  # each as it is and as it would be through a poor VAE
        sound = render(label, n)
        sounds += [describe(s, rate, shares) for s in (sound, with_hiss(sound, draw))]
    classifier = learn(torch.stack(sounds), [label for label, _ in known for _ in range(2)], shares)
    apart = [(label, RENDERS + n) for label in catalogue.labels for n in range(RENDERS_APART)]
    right = [classifier.label(render(label, n), rate) == label for label, n in apart]
    return classifier, fmean(right)


def text_case(models: ModelsUnderTest, classifier: Classifier) -> Figures:
    """Does the class of a prompt sound?"""
    prompts = [_prompt(n, models.catalogue) for n in range(models.sizes.text)]
    predictions = [_class(models, classifier, text, n) for n, (_, text) in enumerate(prompts)]
    few = prompts[: models.sizes.untrained]
    baseline = [_class(models, classifier, t, n, models.untrained) for n, (_, t) in enumerate(few)]
    return {
        **class_figures("text", predictions, baseline, [label for label, _ in prompts]),
        "text.chance": 1 / len(models.catalogue.labels),
        "text.prompts": len(prompts),
    }


def _prompt(number: int, catalogue: Catalogue) -> tuple[str, str]:
    """A class, and a wording of it without a word on pitch or pace."""
    label = catalogue.labels[number % len(catalogue.labels)]
    return label, catalogue.prompt(label, _random(number))


def _random(number: int) -> Generator:
    return default_rng([number, 11])


def _class(
    models: ModelsUnderTest,
    classifier: Classifier,
    prompt: str,
    seed: int,
    pipeline: Pipeline | None = None,
) -> str:
    sound = models.generate(Request(prompt=prompt, seconds=SECONDS, seed=seed), pipeline)
    return classifier.label(sound, models.rate)


def video_case(models: ModelsUnderTest) -> Figures:
    """Does it sound when something happens in the picture? Pictures alone, without text."""
    count, few = models.sizes.video, min(models.sizes.video, models.sizes.untrained)
    main, others = range(count), range(1_000, 1_000 + models.sizes.rates)
    even, events = even_times(FPS), [_events(n, models.catalogue) for n in main]
    sounds = [_video_onsets(models, n, even) for n in main]
    baseline = [_video_onsets(models, n, even, models.untrained) for n in main[:few]]
    figures: Figures = {
        "video.clips": count,
        "video.events_a_second": sum(map(len, events)) / (count * SECONDS),
    }
    for kind, found, targets in with_baselines(sounds, baseline, events):
        all_of = matched(found, targets)
        figures[f"video.f1{kind}"] = all_of.f1
        figures[f"video.precision{kind}"] = all_of.precision
        figures[f"video.recall{kind}"] = all_of.recall
        figures[f"video.onsets_a_second{kind}"] = all_of.found / (len(found) * SECONDS)
        figures[f"video.offsets{kind}"] = _histogram(all_of.offsets)
    return figures | _at_rates(models, others)


def _at_rates(models: ModelsUnderTest, clips: range) -> Figures:
    """F1 of some clips, written at each frame rate."""
    events = [_events(n, models.catalogue) for n in clips]
    figures: Figures = {}
    for name in (*map(str, RATES), "variable"):
        times = [uneven_times(n) if name == "variable" else even_times(float(name)) for n in clips]
        pairs = list(zip(clips, times, strict=True))
        sounds = [_video_onsets(models, n, frames) for n, frames in pairs]
        baseline = [_video_onsets(models, n, frames, models.untrained) for n, frames in pairs]
        for kind, found, targets in with_baselines(sounds, baseline, events):
            figures.setdefault(f"video.f1_at{kind}", {})[name] = matched(found, targets).f1
    return figures


def _event_scene(number: int, catalogue: Catalogue) -> RenderedScene:
    label = catalogue.event_labels[number % len(catalogue.event_labels)]
    return held_out_scene(number, label, catalogue)


def _events(number: int, catalogue: Catalogue) -> list[float]:
    return [event.time for event in _event_scene(number, catalogue).events]


def _video_onsets(
    models: ModelsUnderTest, number: int, times: Sequence[float], pipeline: Pipeline | None = None
) -> list[float]:
    """Onsets of the sound that is generated for a scene's pictures."""
    with TemporaryDirectory() as folder:
        scene = _event_scene(number, models.catalogue)
        path = write_scene(Path(folder) / "scene.mp4", scene, times)
        sound = models.generate(Request(video=path, seed=number), pipeline)
    return onset_times(sound, models.rate)


def matched(found: Sequence[list[float]], targets: Sequence[list[float]]) -> Matching:
    """Onsets and events of several clips."""
    pairs = [match(f, w, TOLERANCE) for f, w in zip(found, targets, strict=True)]
    return sum(pairs, Matching((), 0, 0))


def _histogram(offsets: Sequence[float]) -> dict[str, int]:
    """How many offsets are near each multiple of 50 ms."""
    bins = [round(offset / 0.05) for offset in offsets]
    return {f"{50 * number} ms": bins.count(number) for number in range(-3, 4)}


def conflict_case(models: ModelsUnderTest, classifier: Classifier) -> Figures:
    """A text of one class, pictures of another: which class sounds as their strengths change?"""
    numbers, labels = range(models.sizes.conflict), models.catalogue.labels
    scenes = [held_out_scene(2_000 + n, None, models.catalogue) for n in numbers]
    seen = [scene.label for scene in scenes]
    said = [labels[(n + 1 + n // len(labels)) % len(labels)] for n in numbers]

    def classes(strength: float, pipeline: Pipeline | None = None) -> list[str]:
        sounds = _conflicting(models, zip(scenes, said, strict=True), strength, pipeline)
        return [classifier.label(sound, models.rate) for sound in sounds]

    found = [classes(strength) for strength in STRENGTHS]
    baseline = [classes(strength, models.untrained) for strength in STRENGTHS]
    curve = _curve(found, said, seen)
    others = (names[APART:] + names[:APART] for names in (said, seen))
    rising = [point["as_said"] for point in curve]
    falling = [-point["as_seen"] for point in curve]
    return {
        "conflict.curve": curve,
        "conflict.curve_shuffled": _curve(found, *others),
        "conflict.curve_untrained": _curve(baseline, said, seen),
        "conflict.monotone": rising == sorted(rising) and falling == sorted(falling),
        "conflict.clips": len(scenes),
    }


def _conflicting(
    models: ModelsUnderTest,
    asked: Iterable[tuple[RenderedScene, str]],
    strength: float,
    pipeline: Pipeline | None,
) -> Iterator[Tensor]:
    """Sounds for scenes and other classes, where text has this strength and video the rest."""
    with TemporaryDirectory() as folder:
        for number, (scene, label) in enumerate(asked):
            path = write_scene(Path(folder) / f"{number}.mp4", scene, even_times(FPS))
            request = Request(
                prompt=models.catalogue.prompt(label, _random(number)),
                video=path,
                seed=number,
                text_strength=strength,
                video_strength=1 - strength,
            )
            yield models.generate(request, pipeline)


def _curve(
    predictions: Sequence[list[str]], said: Sequence[str], seen: Sequence[str]
) -> list[dict[str, float]]:
    return [
        {
            "text": strength,
            "as_said": share_equal(labels, said),
            "as_seen": share_equal(labels, seen),
        }
        for strength, labels in zip(STRENGTHS, predictions, strict=True)
    ]


def _order_case(models: ModelsUnderTest, classifier: Classifier) -> Figures:
    from .order_case import order_case  # needs the packages of the effects

    return order_case(models, classifier)


def run(models: ModelsUnderTest, only: str = "") -> Iterator[tuple[str, Figures]]:
    """The cases whose name contains `only`, each with its figures when it is done."""
    learned = cache(lambda: learn_classes(models.rate, models.catalogue))
    cases: dict[str, Callable[[], Figures]] = {
        "vae": lambda: vae_case(models, learned()[0]),
        "text": lambda: (
            text_case(models, learned()[0])
            | {"text.accuracy_of_classifier_on_renders": learned()[1]}
        ),
        "video": lambda: video_case(models),
        "conflict": lambda: conflict_case(models, learned()[0]),
        "music": lambda: music_case(models),
        "repair": lambda: repair_case(models),
        "timeline": lambda: timeline_case(models, learned()[0]),
    }
    if models.catalogue is EFFECTS:
        cases["order"] = lambda: _order_case(models, learned()[0])
    accuracies: dict[str, float] = {}  # of the cases that are done
    for name, case in cases.items():
        if only not in name:
            continue
        figures = case()
        accuracies[name] = figures.get(f"{name}.accuracy", 0.0)
        if name == "text" and models.catalogue is EFFECTS:
            figures["text.lowest_class"] = min(figures["text.by_class"].values())
            if "vae" in accuracies:
                figures["text.share_of_vae"] = accuracies["text"] / max(accuracies["vae"], 1e-9)
        yield name, figures
