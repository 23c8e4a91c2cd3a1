"""Captions: every class has its words, and they say how many, in which order and how loud."""

import pytest
from numpy.random import default_rng

from audiox_core.lab.effects.captions import WORDS, describe, join, with_loudness
from audiox_core.lab.effects.labels import EVENT_LABELS, LABELS


def said(label, count=3, *, counted=False, pace=0, draws=60):
    return {describe(label, count, pace, counted, default_rng(seed)) for seed in range(draws)}


def test_every_class_has_words():
    assert WORDS.keys() == set(LABELS)
    assert all(words.many for label, words in WORDS.items() if label in EVENT_LABELS)


def test_no_two_classes_share_a_sentence():
    sentences = [t for words in WORDS.values() for t in (*words.verbs, *words.nouns, words.one)]
    assert len(sentences) == len(set(sentences))


@pytest.mark.parametrize("label", LABELS)
def test_a_class_has_several_wordings(label):
    assert len(said(label)) >= 5


def test_counts_are_named():
    assert said("dog", 1, counted=True) == {"a dog bark", "one dog bark"}
    assert said("dog", 3, counted=True) == {"three dog barks"}
    assert said("thunder", 2, counted=True) == {"two claps of thunder"}


@pytest.mark.parametrize("label", LABELS)
def test_no_wording_names_a_loudness(label):
    words = WORDS[label]
    for text in (words.one, words.many, *words.verbs, *words.nouns):
        assert not {"loud", "loudly", "soft", "softly", "quiet", "far", "close"} & {*text.split()}


def test_only_a_sentence_with_a_verb_names_the_pace():
    words = WORDS["bird"]
    for text in said("bird", 5, pace=1, draws=300):
        assert text in {words.many, *words.verbs, *words.nouns} or text.startswith(words.verbs)


def test_a_texture_has_no_count():
    assert said("rain", 0, counted=True) == {"rain"}


def test_the_pace_is_named_now_and_then():
    slow = said("bell", 3, pace=-1)
    assert any(text.endswith("slowly") for text in slow)
    assert any(not text.endswith(("slowly", "now and then")) for text in slow)


def test_two_phrases_keep_their_order():
    for seed in range(20):
        text = join(["two dog barks", "rain"], default_rng(seed))
        assert text.index("two dog barks") < text.index("rain")
    assert join(["rain"], default_rng(0)) == "rain"


def test_loudness_is_named_unless_it_is_usual():
    assert with_loudness("rain", 0, default_rng(0)) == "rain"
    quiet = {with_loudness("rain", -1, default_rng(seed)) for seed in range(40)}
    loud = {with_loudness("rain", 1, default_rng(seed)) for seed in range(40)}
    assert "rain far away" in quiet
    assert "rain, loud" in loud
    assert not quiet & loud
