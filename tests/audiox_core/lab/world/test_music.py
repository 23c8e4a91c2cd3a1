"""Phrases: in their key and tempo from beginning to end, in the notes and in the sound."""

import time
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest
import torch

from audiox_core.lab.world import phrase
from audiox_core.lab.world.music import BEATS, INSTRUMENTS, MOODS, TONICS, scale_notes
from audiox_core.lab.world.soundfont import INSTALL

SEEDS = range(5)
RATE = 22_050
HOP = 256


@pytest.fixture(scope="module")
def heard():
    """Phrases and their sound, where the two packages are."""
    if not all(map(find_spec, ("tinysoundfont", "pretty_midi"))):
        pytest.skip(INSTALL)
    made = [phrase(seed) for seed in SEEDS]
    return [(one, one.audio(RATE)) for one in made]


def halves(sound):
    return sound[:, : sound.shape[-1] // 2], sound[:, sound.shape[-1] // 2 :]


def spectrum(sound, size):
    window = torch.hann_window(size)
    return torch.stft(sound.sum(0), size, HOP, window=window, return_complex=True).abs()


def test_a_seed_gives_the_same_phrase():
    assert phrase(3) == phrase(3) != phrase(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_note_lies_in_the_key(seed):
    made = phrase(seed)
    assert {note.key % 12 for note in made.notes} <= scale_notes(made.key)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_note_begins_on_an_eighth_of_the_tempo(seed):
    made = phrase(seed)
    eighths = np.array([note.start for note in made.notes]) * made.bpm / 30
    np.testing.assert_allclose(eighths, eighths.round(), atol=1e-6)
    beats = {round(note.start * made.bpm / 60, 3) for note in made.notes if note.voice}
    assert beats == set(range(len(beats)))


@pytest.mark.parametrize("seed", SEEDS)
def test_four_bars_are_repeated(seed):
    made = phrase(seed, 40.0)
    again = 4 * BEATS * 60 / made.bpm
    first = [(n.start, n.key, n.voice) for n in made.notes if n.start < again - 1e-6]
    second = [
        (n.start - again, n.key, n.voice)
        for n in made.notes
        if again - 1e-6 <= n.start < 2 * again - 1e-6
    ]
    assert [note[1:] for note in first] == [note[1:] for note in second]
    np.testing.assert_allclose([n[0] for n in first], [n[0] for n in second], atol=1e-6)


def test_seeds_reach_every_key_mood_and_instrument():
    made = [phrase(seed, 2.0) for seed in range(200)]
    assert {one.key.rsplit(" ", 1)[0] for one in made} == set(TONICS)
    assert {one.mood for one in made} == set(MOODS)
    assert {one.instrument for one in made} == set(INSTRUMENTS)
    assert all(one.mood in one.caption and one.instrument in one.caption for one in made)


def test_both_halves_of_the_sound_keep_the_tempo(heard):
    for made, sound in heard:
        for half in halves(sound):
            flux = spectrum(half, 1_024).add(1e-3).log().diff(dim=-1).clamp_min(0).sum(0)
            flux = flux - flux.mean()
            eighth = 30 / made.bpm * RATE / HOP  # frames
            lags = {share: round(share * eighth) for share in (2, 1.5, 2.5)}
            alike = {
                share: max((flux[: -lag - d] * flux[lag + d :]).mean() for d in (-1, 0, 1))
                for share, lag in lags.items()
            }
            assert alike[2] > 2 * max(alike[1.5], alike[2.5])  # a beat, against no part of one


def test_both_halves_of_the_sound_keep_the_key(heard):
    frequencies = torch.fft.rfftfreq(8_192, 1 / RATE)
    heights = 69 + 12 * (frequencies.clamp_min(1) / 440).log2()
    low = (frequencies > 80) & (frequencies < 1_500)
    for made, sound in heard:
        inside = torch.tensor([int(h.round()) % 12 in scale_notes(made.key) for h in heights])
        for half in halves(sound):
            power = spectrum(half, 8_192).square().sum(-1)
            assert power[low & inside].sum() / power[low].sum() > 0.85


def test_the_sound_is_stereo_and_neither_silent_nor_too_loud(heard):
    for made, sound in heard:
        assert sound.shape == (2, round(made.seconds * RATE))
        assert -9.01 < 20 * sound.abs().max().log10() < -2.99
        assert not torch.equal(sound[0], sound[1])


def test_the_same_phrase_sounds_the_same(heard):
    made, sound = heard[0]
    assert torch.equal(made.audio(RATE), sound)


def test_playing_is_faster_than_real_time(heard):
    start = time.process_time()
    heard[0][0].audio(44_100)
    assert time.process_time() - start < heard[0][0].seconds / 2


def test_the_notes_of_a_phrase_fill_its_time():
    made = phrase(2, 22.0)
    starts = sorted({note.start for note in made.notes})
    assert starts[-1] > 21.0
    assert max(b - a for a, b in pairwise(starts)) < 1.01
