"""What the evaluation needs of each rendered world: its classes, scenes, music and prompts.

The recorded effects need Pillow and Debian's packages; they are imported when a scene is made.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.random import Generator

from .. import labels as synthetic
from ..effects import labels as effects
from ..effects.captions import describe
from ..world import Phrase, phrase, scene
from ..world.captions import caption
from ..world.rendered_scene import RenderedScene
from .classifier import SHARES


@dataclass(frozen=True)
class Catalogue:
    """A rendered world, as the cases use it."""

    name: str  # of the option --world
    source: str  # as data.source of a training run
    labels: tuple[str, ...]
    event_labels: tuple[str, ...]  # with an onset
    make_scene: Callable[[int, str, float], RenderedScene]  # seed, class, seconds
    make_phrase: Callable[[int, float], Phrase]  # seed, seconds
    prompt: Callable[[str, Generator], str]  # a wording of a class, without pitch, pace or count
    shares: tuple[float, ...]  # that the classifier looks at, see `classifier.describe`
    text_prompts: int  # of the text case


def _effect_scene(seed: int, label: str, seconds: float) -> RenderedScene:
    from ..effects.scenes import effect_scene

    return effect_scene(seed, label, seconds)


def _mellow_phrase(seed: int, seconds: float) -> Phrase:
    return phrase(seed, seconds, mellow=True)


SYNTHETIC = Catalogue(
    name="synthetic",
    source="world",
    labels=synthetic.LABELS,
    event_labels=synthetic.EVENT_LABELS,
    make_scene=scene,
    make_phrase=phrase,
    prompt=lambda label, rng: caption(label, 0, 0, rng),
    shares=SHARES,
    text_prompts=200,
)
EFFECTS = Catalogue(
    name="effects",
    source="effects",
    labels=effects.LABELS,
    event_labels=effects.EVENT_LABELS,
    make_scene=_effect_scene,
    make_phrase=_mellow_phrase,
    prompt=lambda label, rng: describe(label, 0, 0, False, rng),
    # one short sound in ten seconds fills less than a hundredth of them
    shares=(*SHARES, 0.99, 1.0),
    text_prompts=400,
)
CATALOGUES = {catalogue.name: catalogue for catalogue in (SYNTHETIC, EFFECTS)}


def catalogue_of(header: Mapping[str, str]) -> Catalogue:
    """The world that a model was trained on.

    Args:
        header: of the model's file; `trained` is the record of its last run.

    Returns:
        The effects where the record names them as its data; in all other cases the synthetic world.
    """
    record: dict[str, Any] = json.loads(header.get("trained", "{}"))
    source = record.get("settings", {}).get("data", {}).get("source", "")
    return EFFECTS if source == EFFECTS.source else SYNTHETIC
