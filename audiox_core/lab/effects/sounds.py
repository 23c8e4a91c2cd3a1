"""How each class sounds: recordings with varied pitch, and synthesised sounds. Axes: `n` samples.

An event is a function of a random generator, a sample rate in Hz and a pitch factor; a texture also
takes its level at every sample (`n`, 0..1). Both give mono samples `n`.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..world.sounds import EventSound, anvil, ball, band, band_pass, drip, seconds_axis, tick
from ..world.textures import TextureSound, engine, wind
from .recordings import recording, resample

GRAIN = 0.6  # s of a grain, and half of it until the next
IDLE = 0.1  # level below which an engine stops
FADE = 0.01  # s at the end of a recording
RECORDINGS: dict[str, tuple[str, ...]] = {
    "dog": ("Dog Bark",),
    "bird": ("Bird2(L)",),
    "door": ("Door", "perc_door.flac"),
    "footsteps": ("FootStep",),
    "bell": ("perc_bell.flac", "perc_bell2.flac"),
    "chime": ("Wind Chime",),
    "drum": ("drum_tom_mid_hard.flac", "drum_tom_lo_hard.flac", "drum_tom_hi_hard.flac"),
    "telephone": ("Telephone 2",),
    "explosion": ("Explosion",),
    "thunder": ("Thunder(L)", "Thunder(R)"),
    "laugh": ("Laugh",),
    "heartbeat": ("HeartBeat",),
    "rain": ("SeattleRain...(L)", "SeattleRain...(R)"),
    "sea": ("Sea Shore",),
    "train": ("train",),
    "helicopter": ("Heli",),
    "siren": ("Siren",),
    "applause": ("Applause",),
    "horse": ("Gallops",),
}
LONGEST = {"bell": 1.6, "chime": 2.4, "thunder": 3.5, "drum": 0.7, "door": 0.8}  # s of an event


def event_sound(label: str) -> EventSound:
    """The sound of one event of a class."""
    return SYNTHESISED.get(label) or _recorded(label)


def texture_sound(label: str) -> TextureSound:
    """The sound of a texture of a class."""
    if label in SYNTHESISED_TEXTURES:
        return SYNTHESISED_TEXTURES[label]
    return _periodic(label) if label in PERIODIC else _granular(label)


def _recorded(label: str) -> EventSound:
    def sound(rng: Generator, sample_rate: int, pitch: float) -> NDArray:
        source = recording(str(rng.choice(RECORDINGS[label])), sample_rate)
        source = source[: round(LONGEST.get(label, 2.0) * sample_rate)]
        varied = resample(source, 1 / pitch)
        fade = min(round(FADE * sample_rate), varied.size)
        varied[varied.size - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        return varied

    return sound


def _granular(label: str) -> TextureSound:
    """Random overlapping grains, so that no repetition is heard."""

    def sound(rng: Generator, sample_rate: int, pitch: float, level: NDArray) -> NDArray:
        sources = [resample(recording(name, sample_rate), 1 / pitch) for name in RECORDINGS[label]]
        grain = round(GRAIN * sample_rate)
        window = np.sin(np.pi * (np.arange(grain) + 0.5) / grain).astype(np.float32)
        whole = np.zeros(level.size + 2 * grain, np.float32)
        for start in range(0, level.size + grain, grain // 2):
            source = sources[rng.integers(len(sources))]
            at = int(rng.integers(max(1, source.size - grain)))
            piece = source[at : at + grain]
            whole[start : start + piece.size] += window[: piece.size] * piece
        whole = whole[grain : grain + level.size]
        return whole / max(np.abs(whole).max(), 1e-9) * level

    return sound


def _periodic(label: str) -> TextureSound:
    """A machine or an animal that repeats itself: the recording again and again, never the same."""
    gap, spread = PERIODIC[label]

    def sound(rng: Generator, sample_rate: int, pitch: float, level: NDArray) -> NDArray:
        source = resample(recording(RECORDINGS[label][0], sample_rate), 1 / pitch)
        fade = min(round(0.02 * sample_rate), source.size // 4)
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        source[:fade] *= ramp
        source[source.size - fade :] *= ramp[::-1]
        step = round(source.size + gap * sample_rate) - fade
        whole = np.zeros(level.size + 2 * source.size + step, np.float32)
        start = int(rng.integers(step))
        while start < level.size + step:
            loud = rng.uniform(1 - spread, 1)
            whole[start : start + source.size] += loud * source
            start += max(1, round(step * rng.uniform(1 - spread / 4, 1 + spread / 4)))
        return whole[step : step + level.size] * level

    return sound


def fire(rng: Generator, sample_rate: int, pitch: float, level: NDArray) -> NDArray:
    """A low rush, and crackles."""
    samples = level.size
    rush = band(rng, samples, 60 * pitch, 400 * pitch, sample_rate)
    crackle = np.zeros(samples, np.float32)
    t = seconds_axis(0.03, sample_rate)
    for start in rng.integers(0, max(1, samples - t.size), round(samples / sample_rate * 14)):
        pop = rng.standard_normal(t.size).astype(np.float32)
        pop *= np.exp(-t / rng.uniform(0.002, 0.008))
        crackle[start : start + t.size] += rng.uniform(0.2, 1.0) * pop
    spectrum = np.fft.rfft(crackle) * band_pass(samples, 1_000 * pitch, 6_000, sample_rate)
    crackle = np.fft.irfft(spectrum, samples).astype(np.float32)
    crackle /= max(np.abs(crackle).max(), 1e-9)
    return (0.5 * rush + 0.8 * crackle) * level


def swelling(rng: Generator, sample_rate: int, pitch: float, level: NDArray) -> NDArray:
    """Waves of the sea: each comes and goes within some seconds."""
    at = np.arange(level.size, dtype=np.float32) / sample_rate
    wave = 0.55 + 0.45 * np.sin(2 * np.pi * (at / rng.uniform(3, 5) + rng.random()))
    return _granular("sea")(rng, sample_rate, pitch, level * wave.astype(np.float32))


def running(rng: Generator, sample_rate: int, pitch: float, level: NDArray) -> NDArray:
    """An engine that is off where the level is 0."""
    return engine(rng, sample_rate, pitch, level) * np.minimum(1, level / IDLE)


PERIODIC = {  # s between the end of a recording and its next beginning; how uneven
    "train": (0.0, 0.1), "helicopter": (0.0, 0.05), "siren": (0.0, 0.0), "horse": (0.02, 0.2),
}  # fmt: skip
SYNTHESISED: dict[str, EventSound] = {"ball": ball, "clock": tick, "drip": drip, "anvil": anvil}
SYNTHESISED_TEXTURES: dict[str, Callable[[Generator, int, float, NDArray], NDArray]] = {
    "wind": wind, "fire": fire, "engine": running, "sea": swelling,
}  # fmt: skip
