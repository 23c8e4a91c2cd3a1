"""The rendered worlds, as the evaluation uses them."""

import json
import subprocess
import sys

import pytest
from numpy.random import default_rng

from audiox_core.checkpoint.released_files import EMBEDDED
from audiox_core.checkpoint.weight_file import open_weights
from audiox_core.lab.evaluation.catalogue import (
    CATALOGUES,
    EFFECTS,
    SYNTHETIC,
    catalogue_of,
)
from audiox_core.lab.world import phrase, scene
from audiox_core.lab.world.rendered_scene import RenderedScene

WORLD = {"settings": {"data": {"source": "world"}}, "command": "train --data world"}
BY_SETTINGS = {"settings": {"data": {"source": "effects"}}}
MANIFEST = {"settings": {"data": {"source": "effects.jsonl"}}, "command": "--data effects.jsonl"}


@pytest.mark.parametrize(
    ("record", "catalogue"),
    [
        (None, SYNTHETIC),
        (WORLD, SYNTHETIC),
        (BY_SETTINGS, EFFECTS),
        (MANIFEST, SYNTHETIC),
        (WORLD | {"before": {"init": BY_SETTINGS}}, SYNTHETIC),
        (BY_SETTINGS | {"before": {"init": WORLD}}, EFFECTS),
    ],
    ids=["no record", "world", "settings", "manifest", "before the last run", "after another"],
)
def test_the_record_of_the_last_run_names_the_world(record, catalogue):
    header = {} if record is None else {"trained": json.dumps(record)}
    assert catalogue_of(header) is catalogue


def test_the_embedded_model_has_a_world():
    assert catalogue_of(open_weights(EMBEDDED).header) in CATALOGUES.values()


@pytest.mark.parametrize("catalogue", CATALOGUES.values(), ids=CATALOGUES)
def test_every_class_has_prompts_without_a_gap(catalogue):
    assert set(catalogue.event_labels) < set(catalogue.labels)
    for label in catalogue.labels:
        prompts = {catalogue.prompt(label, default_rng(seed)) for seed in range(20)}
        assert len(prompts) > 3
        assert all(text == " ".join(text.split()) != "" for text in prompts)


def test_the_synthetic_scenes_are_those_of_training():
    assert SYNTHETIC.make_scene(5, "bell", 10.0) == scene(5, "bell", 10.0)
    assert isinstance(scene(5, "bell"), RenderedScene)
    assert not isinstance(phrase(5), RenderedScene)


def test_scenes_of_effects_have_one_source_of_the_class():
    pytest.importorskip("PIL")
    for seed in range(20):
        made = EFFECTS.make_scene(seed, "dog", 10.0)
        assert [part.label for part in made.parts] == ["dog"]
        assert isinstance(made, RenderedScene)


def test_music_of_effects_is_mellow():
    assert EFFECTS.make_phrase(5, 4.0) == phrase(5, 4.0, mellow=True)


def test_nothing_of_the_pictures_of_effects_is_needed_before_a_scene_is_made():
    code = (
        "import sys; sys.modules['PIL'] = None\n"
        "from audiox_core.lab.evaluation import cases, clips\n"
        "print(clips.held_out_scene(0).label)"
    )
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert made.stdout.strip() == SYNTHETIC.labels[0]
