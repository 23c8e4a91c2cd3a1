"""Captions name their class, and it alone."""

import pytest
from numpy.random import default_rng

from audiox_core.lab.labels import LABELS
from audiox_core.lab.world import scene
from audiox_core.lab.world.captions import WORDINGS, caption

BLANKS = {"{pitch}", "{pace}"}


def words(text: str) -> set[str]:
    return set(text.replace(",", "").split()) - BLANKS


def test_every_class_has_six_wordings_or_more():
    assert WORDINGS.keys() == set(LABELS)
    assert all(len(set(wordings)) >= 6 for wordings in WORDINGS.values())


@pytest.mark.parametrize("label", LABELS)
def test_every_wording_has_a_word_that_no_other_class_has(label):
    others = set().union(*(words(w) for name in LABELS if name != label for w in WORDINGS[name]))
    assert all(words(wording) - others for wording in WORDINGS[label])


def test_no_caption_belongs_to_two_classes():
    said = {
        label: {
            caption(label, pitch, pace, default_rng([draw, pitch + 1, pace + 1]))
            for pitch in (-1, 0, 1)
            for pace in (-1, 0, 1)
            for draw in range(60)
        }
        for label in LABELS
    }
    assert sum(map(len, said.values())) == len(set().union(*said.values()))


@pytest.mark.parametrize("label", LABELS)
def test_captions_are_clean_english(label):
    for seed in range(60):
        text = scene(seed, label).caption
        assert text == " ".join(text.split())
        assert not set(text) & set("{}")
        assert not text.endswith(",")
        assert not any(f" a {vowel}" in f" {text}" for vowel in "aeio")


def test_the_pitch_of_a_scene_matches_its_caption():
    for seed in range(300):
        made = scene(seed, "bell")
        if words(made.caption) & {"high", "bright", "sharp"}:
            assert made.pitch > 1.15
        if words(made.caption) & {"low", "deep", "dull"}:
            assert made.pitch < 0.88


def test_the_pace_of_a_scene_matches_its_caption():
    for seed in range(300):
        made = scene(seed, "clock")
        if words(made.caption) & {"quickly", "fast"}:
            assert len(made.events) > 6
        if "slowly" in made.caption:
            assert len(made.events) < 5
