"""What the measures hear: held to renders, of which all is known."""

import math

import pytest
import torch

from audiox_core.lab.evaluation.classifier import describe, learn, with_hiss
from audiox_core.lab.evaluation.clips import held_out_scene
from audiox_core.lab.evaluation.fidelity import jump_rank, log_spectral_distance, si_sdr
from audiox_core.lab.evaluation.music import keeps_tempo, share_in_scale
from audiox_core.lab.evaluation.onsets import Matching, match, onset_times
from audiox_core.lab.world.scenes import EVENT_LABELS, LABELS

RATE = 22_050


@pytest.mark.parametrize("label", EVENT_LABELS)
def test_every_event_of_a_render_is_found_at_its_time(label):
    scene = held_out_scene(5, label)
    found = match(onset_times(scene.audio(RATE), RATE), [e.time for e in scene.events], 0.03)
    assert found.f1 == 1


def test_silence_and_steady_noise_have_no_onsets(seeded):
    assert onset_times(torch.zeros(2, RATE), RATE) == []
    assert onset_times(0.1 * torch.randn(2, 3 * RATE, generator=seeded), RATE) == []


def test_matching_pairs_one_to_one_and_finds_the_most():
    # taken greedily from the nearest pair on, 1.0 would lose its only partner
    result = match([1.1, 1.2], [1.0, 1.14], 0.15)
    assert len(result.offsets) == 2
    assert match([1.0, 1.05, 1.1], [1.0], 0.15) == Matching((0.0,), 3, 1)
    assert match([], [1.0], 0.15).f1 == 0
    both = match([1.0], [1.0], 0.15) + match([2.0, 5.0], [2.1], 0.15)
    assert (both.precision, both.recall) == pytest.approx((2 / 3, 1))
    assert both.f1 == pytest.approx(0.8)


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


def test_si_sdr_does_not_depend_on_the_level(seeded):
    sound = torch.randn(2, 4_000, generator=seeded)
    noise = torch.randn(2, 4_000, generator=seeded)
    assert si_sdr(3 * sound + 0.3 * noise, sound) == pytest.approx(20, abs=0.5)
    assert si_sdr(noise, sound) < -20


def test_the_spectral_distance_of_a_gain_is_the_gain():
    tone = 0.5 * torch.sin(torch.arange(2 * RATE) * 0.3)[None] + 0.1
    assert log_spectral_distance(tone, tone, RATE) == 0
    assert 0.1 < log_spectral_distance(2 * tone, tone, RATE) < 20 * math.log10(2)


def test_a_jump_ranks_above_its_surroundings():
    wave = torch.sin(torch.arange(1_000) * 0.05)[None]
    assert jump_rank(wave, 500, 100) < 0.9
    wave[:, 500:] += 1
    assert jump_rank(wave, 500, 100) == pytest.approx(198 / 199)


def test_a_scale_and_a_beat_are_detected():
    seconds = torch.arange(6 * RATE) / RATE
    beats = torch.exp(-12 * (seconds % 0.5))  # 120 a minute
    chord = sum(torch.sin(2 * math.pi * hertz * seconds) for hertz in (261.63, 329.63, 392.0))
    sound = (0.2 * beats * chord).expand(2, -1)
    c_major = {0, 2, 4, 5, 7, 9, 11}
    assert share_in_scale(sound, RATE, c_major) > 0.9
    assert share_in_scale(sound, RATE, {1, 3, 6, 8, 10}) < 0.1
    assert keeps_tempo(sound, RATE, 120) > keeps_tempo(sound, RATE, 100) + 0.3
