"""Short phrases of one instrument with a constant key, tempo and mood.

Four bars of chords and a melody come again and again, so that a phrase's first half tells what
its second half must be.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.random import Generator, default_rng
from torch import Tensor

from .soundfont import Note, play

MUSIC = 3  # its stream of random numbers of a seed; scenes have others

TONICS = ("C", "C sharp", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}  # semitones
PROGRESSIONS = {  # degrees of the scale, a bar each
    "major": ((0, 4, 5, 3), (0, 3, 4, 0), (0, 5, 3, 4), (0, 3, 0, 4)),
    "minor": ((0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 6), (0, 5, 3, 4)),
}
INSTRUMENTS = {  # General MIDI programs
    "piano": 0,
    "electric piano": 4,
    "vibraphone": 11,
    "organ": 19,
    "guitar": 24,
    "strings": 48,
    "trumpet": 56,
    "flute": 73,
}
MELLOW = {  # with weak overtones
    "electric piano": 4,
    "vibraphone": 11,
    "marimba": 12,
    "guitar": 24,
    "harp": 46,
    "flute": 73,
    "ocarina": 79,
}
OCTAVE = 12  # semitones
BEATS = 4  # of a bar


@dataclass(frozen=True)
class Mood:
    """A mood in notes."""

    mode: str  # "major" or "minor"
    bpm: tuple[int, int]  # from and to
    velocity: int  # of the melody
    busy: float  # share of the eighths that have a note


MOODS = {
    "happy": Mood("major", (112, 144), 100, 0.7),
    "calm": Mood("major", (66, 86), 70, 0.45),
    "sad": Mood("minor", (60, 80), 75, 0.45),
    "dark": Mood("minor", (86, 108), 90, 0.5),
    "tense": Mood("minor", (116, 150), 105, 0.7),
    "gentle": Mood("major", (88, 108), 80, 0.55),
}

WORDINGS = (
    "a {mood} {instrument} melody in {key}",
    "{mood} {instrument} music at {bpm} beats per minute",
    "{pace} {instrument} music in {key}, {mood}",
    "a {pace}, {mood} tune on the {instrument}",
    "{instrument} playing a {mood} tune in {key} at {bpm} beats per minute",
    "{mood} music in {key} for {instrument}",
    "{pace} {mood} music, {instrument}, {bpm} bpm",
    "a {mood} phrase in {key}, played on the {instrument}",
)


@dataclass(frozen=True)
class Phrase:
    """A piece of music; the same seed is the same piece."""

    key: str  # such as "C major"
    bpm: int  # quarters a minute
    mood: str
    instrument: str
    caption: str
    seconds: float
    seed: int
    notes: tuple[Note, ...] = field(repr=False)
    pans: tuple[float, float] = (0.0, 0.0)  # of melody and accompaniment
    peak_db: float = -6.0  # dBFS
    mellow: bool = False  # see `phrase`

    def audio(self, sample_rate: int) -> Tensor:
        """The sound, `2 n` float32; `sample_rate` in Hz. Raises SettingsError: see `play`."""
        samples = round(self.seconds * sample_rate)
        program = (MELLOW if self.mellow else INSTRUMENTS)[self.instrument]
        sound = play(self.notes, program, self.pans, samples, sample_rate, fluid=self.mellow)
        sound *= 10 ** (self.peak_db / 20) / max(np.abs(sound).max(), 1e-9)
        return torch.from_numpy(sound)


def phrase(seed: int, seconds: float = 22.0, *, mellow: bool = False) -> Phrase:
    """A phrase.

    Args:
        seed: of all that is drawn, 0 or more.
        seconds: its length.
        mellow: melody and chords an octave lower, on instruments with weak overtones, as a small
            VAE keeps the pitch of low notes; played with the Fluid font.
    """
    rng = default_rng([seed, MUSIC])
    word = str(rng.choice(list(MOODS)))
    mood = MOODS[word]
    tonic = int(rng.integers(12))
    bpm = int(rng.integers(mood.bpm[0], mood.bpm[1] + 1))
    instrument = str(rng.choice(list(MELLOW if mellow else INSTRUMENTS)))
    key = f"{TONICS[tonic]} {mood.mode}"
    wording = WORDINGS[rng.integers(len(WORDINGS))]
    side = float(rng.uniform(-0.5, 0.5))
    return Phrase(
        key=key,
        bpm=bpm,
        mood=word,
        instrument=instrument,
        caption=wording.format(mood=word, instrument=instrument, key=key, bpm=bpm, pace=_pace(bpm)),
        seconds=seconds,
        seed=seed,
        notes=_repeated(_melody(rng, mood, tonic, OCTAVE if mellow else 0), bpm, seconds),
        pans=(side, -side),
        peak_db=float(rng.uniform(-9.0, -3.0)),
        mellow=mellow,
    )


def scale_notes(key: str) -> set[int]:
    """Pitch classes of a key by its name, 0 is C."""
    tonic, mode = key.rsplit(" ", 1)
    return {(TONICS.index(tonic) + step) % 12 for step in SCALES[mode]}


def _pace(bpm: int) -> str:
    return "slow" if bpm < 87 else "moderate" if bpm < 110 else "fast"


def _melody(rng: Generator, mood: Mood, tonic: int, lower: int) -> list[Note]:
    """Four bars, in beats instead of seconds: a bass on every beat, chords, and a tune.

    Chords and tune are `lower` semitones below their usual place.
    """
    scale = SCALES[mood.mode]
    chords = PROGRESSIONS[mood.mode][rng.integers(len(PROGRESSIONS[mood.mode]))]

    def pitch(degree: int) -> int:
        """Of a step of the scale; 0 is the tonic around the middle C."""
        return 54 + (tonic + 6) % 12 + 12 * (degree // 7) + scale[degree % 7]

    rhythm = rng.random(2 * BEATS) < mood.busy
    rhythm[0] = True
    notes = []
    for bar, root in enumerate(chords):
        for beat in range(BEATS):
            at, loud = BEATS * bar + beat, mood.velocity - (15 if beat == 0 else 28)
            notes.append(Note(at, at + 0.9, pitch(root) - 12, loud, 1))
            if beat % 2:
                third = [pitch(root + step) - lower for step in (2, 4)]
                notes += [Note(at, at + 0.8, key, loud - 10, 1) for key in third]
        begins = np.flatnonzero(rhythm) / 2
        ends = np.append(begins[1:], BEATS)
        for begin, end in zip(begins, ends, strict=True):
            degree = root + int(rng.choice((0, 2, 4)))
            if begin % 1:  # off the beat, a passing note
                degree += int(rng.integers(-1, 2))
            start = BEATS * bar + begin
            last = BEATS * bar + min(end, begin + 1.5) - 0.08
            notes.append(Note(start, last, pitch(degree) + OCTAVE - lower, mood.velocity, 0))
    return notes


def _repeated(bars: list[Note], bpm: int, seconds: float) -> tuple[Note, ...]:
    """The bars, repeated until the end, in seconds."""
    beat, length = 60 / bpm, 4 * BEATS
    rounds = int(np.ceil(seconds / (length * beat)))
    notes = (
        Note(
            (note.start + turn * length) * beat,
            (note.end + turn * length) * beat,
            note.key,
            note.velocity,
            note.voice,
        )
        for turn in range(rounds)
        for note in bars
    )
    return tuple(note for note in notes if note.start < seconds)
