"""The classifier of rendered sounds."""

import math

import torch

from audiox_core.lab.evaluation.classifier import describe, learn, with_hiss
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
