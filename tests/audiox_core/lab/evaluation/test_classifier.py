"""The classifier of rendered sounds."""

import math

import pytest
import torch

from audiox_core.analysis.spectra import BANDS
from audiox_core.lab.evaluation.catalogue import EFFECTS
from audiox_core.lab.evaluation.classifier import SHARES, describe, learn, with_hiss
from audiox_core.lab.evaluation.clips import held_out_scene
from audiox_core.lab.labels import LABELS

RATE = 22_050


def test_the_classifier_separates_rendered_classes():
    labels = [label for label in LABELS for _ in range(6)]
    heard = [held_out_scene(n, label).audio(RATE) for n, label in enumerate(labels)]
    classifier = learn(torch.stack([describe(sound, RATE) for sound in heard]), labels)
    right = [
        classifier.label(held_out_scene(500 + n, label).audio(RATE), RATE) == label
        for n, label in enumerate(LABELS)
    ]
    assert sum(right) >= len(LABELS) - 1
    quiet = 0.01 * held_out_scene(900, "bell").audio(RATE)
    assert classifier.label(quiet, RATE) == "bell"


def test_hiss_is_soft_beside_the_sound(seeded):
    sound = held_out_scene(3, "bell").audio(RATE)
    for _ in range(8):
        hiss = with_hiss(sound, seeded) - sound
        share_db = 20 * math.log10(hiss.std() / sound.abs().max())
        assert -50.1 < share_db < -19.9


def test_one_short_sound_in_ten_seconds_is_described_by_the_shares_of_effects():
    t = torch.arange(round(0.05 * RATE)) / RATE
    described = []
    for hertz in (500, 4_000):
        sound = torch.zeros(1, 10 * RATE)
        sound[:, RATE : RATE + t.numel()] = torch.sin(2 * torch.pi * hertz * t)
        described.append(
            [describe(sound, RATE, s)[: BANDS * len(s)] for s in (SHARES, EFFECTS.shares)]
        )
    (low, low_rich), (high, high_rich) = described
    assert torch.equal(low, high)
    assert not torch.allclose(low_rich, high_rich)


@pytest.mark.usefixtures("effects")
def test_the_classifier_separates_recorded_effects():
    classes = ("dog", "clock", "bell", "explosion", "rain", "siren")
    labels = [label for label in classes for _ in range(5)]
    heard = [held_out_scene(n, label, EFFECTS).audio(RATE) for n, label in enumerate(labels)]
    described = torch.stack([describe(sound, RATE, EFFECTS.shares) for sound in heard])
    classifier = learn(described, labels, EFFECTS.shares)
    right = [
        classifier.label(held_out_scene(500 + n, label, EFFECTS).audio(RATE), RATE) == label
        for n, label in enumerate(classes)
    ]
    assert sum(right) >= len(classes) - 1
