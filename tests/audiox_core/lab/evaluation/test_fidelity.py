"""Distances between two sounds, held to closed-form values."""

import math

import pytest
import torch

from audiox_core.lab.evaluation.fidelity import (
    energy_steps,
    fine_onset,
    jump_rank,
    log_mel_distance,
    log_spectral_distance,
    si_sdr,
)

RATE = 22_050


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


def test_an_energy_step_is_the_change_of_level_between_frames():
    sound = torch.full((1, 400), 0.1)
    sound[:, 200:] = 1.0
    steps, seconds = energy_steps(sound, 1_000)
    assert seconds == 0.05
    assert steps.tolist() == pytest.approx([0, 0, 0, 20, 0, 0, 0], abs=1e-3)


def test_the_mel_distance_of_a_gain_is_the_gain_and_silence_has_a_floor(seeded):
    noise = 0.1 * torch.randn(2, RATE, generator=seeded)
    assert log_mel_distance(noise, noise, RATE) == 0
    assert log_mel_distance(2 * noise, noise, RATE) == pytest.approx(20 * math.log10(2), abs=1e-3)
    assert log_mel_distance(1e-6 * noise, 0 * noise, RATE) == 0


def test_a_fine_onset_is_exact_to_a_millisecond(seeded):
    sound = 1e-3 * torch.randn(2, RATE, generator=seeded)
    sound[:, 4_410:8_820] += torch.randn(2, 4_410, generator=seeded)
    assert fine_onset(sound, RATE) == pytest.approx(0.2, abs=0.0011)
    assert fine_onset(torch.zeros(2, RATE), RATE) == 0
