"""Key and tempo of a sound."""

import math

import torch

from audiox_core.lab.evaluation.music import keeps_tempo, share_in_scale

RATE = 22_050


def test_a_scale_and_a_beat_are_detected():
    seconds = torch.arange(6 * RATE) / RATE
    beats = torch.exp(-12 * (seconds % 0.5))  # 120 a minute
    chord = sum(torch.sin(2 * math.pi * hertz * seconds) for hertz in (261.63, 329.63, 392.0))
    sound = (0.2 * beats * chord).expand(2, -1)
    c_major = {0, 2, 4, 5, 7, 9, 11}
    assert share_in_scale(sound, RATE, c_major) > 0.9
    assert share_in_scale(sound, RATE, {1, 3, 6, 8, 10}) < 0.1
    assert keeps_tempo(sound, RATE, 120) > keeps_tempo(sound, RATE, 100) + 0.3
