"""The sound of one event: short, with a sharp attack, over within 0.6 seconds.

Each is a function of a random generator, a sample rate in Hz and a pitch factor, and gives mono
samples `n` of about full scale.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Partials = Sequence[tuple[float, float, float]]  # share of the base, level, s to fall to 1/e
EventSound = Callable[[Generator, int, float], NDArray]
HIGHEST = 0.45  # of the sample rate: what lies above is left out


def seconds_axis(seconds: float, sample_rate: int) -> NDArray:
    """Times of the samples of a sound, `n`."""
    return np.arange(round(seconds * sample_rate), dtype=np.float32) / sample_rate


def band(rng: Generator, samples: int, low: float, high: float, sample_rate: int) -> NDArray:
    """Noise between two frequencies in Hz, its loudest sample 1."""
    spectrum = np.fft.rfft(rng.standard_normal(samples, np.float32))
    spectrum *= band_pass(samples, low, high, sample_rate)
    return _full_scale(np.fft.irfft(spectrum, samples).astype(np.float32))


def band_pass(samples: int, low: float, high: float, sample_rate: int) -> NDArray:
    """A filter's curve for `rfft`: 1 from `low` to `high` Hz, falling an octave on each side."""
    octaves = np.log2(np.maximum(np.fft.rfftfreq(samples, 1 / sample_rate), 1.0))
    high = min(high, HIGHEST * sample_rate)
    rise, fall = octaves - np.log2(low) + 1, np.log2(high) + 1 - octaves
    return np.clip(np.minimum(rise, fall), 0, 1).astype(np.float32)


def ball(rng: Generator, sample_rate: int, pitch: float) -> NDArray:
    """A thump that falls in pitch."""
    t = seconds_axis(0.4, sample_rate)
    phase = _phase(pitch * (85 + 160 * np.exp(-t / 0.03)), sample_rate)
    body = np.sin(phase) + 0.4 * np.sin(2 * phase) + 0.15 * np.sin(3 * phase)
    slap = band(rng, t.size, 300, 1_500, sample_rate) * np.exp(-t / 0.008)
    return _finished(body * np.exp(-t / 0.08) + 0.5 * slap, sample_rate)


def beep(rng: Generator, sample_rate: int, pitch: float) -> NDArray:
    """A hollow, even tone."""
    t = seconds_axis(rng.uniform(0.2, 0.26), sample_rate)
    partials = [(odd, 1 / odd, np.inf) for odd in (1, 3, 5)]
    tone = _ring(t, 1_150 * pitch, partials, sample_rate)
    return _finished(tone * np.minimum(1, t / 0.002), sample_rate, release=0.02)


def marimba(rng: Generator, sample_rate: int, pitch: float) -> NDArray:
    """A struck wooden bar: a warm tone with two short overtones."""
    t = seconds_axis(0.55, sample_rate)
    partials = ((1, 1, 0.16), (3.93, 0.4, 0.06), (9.4, 0.2, 0.02))
    tone = _ring(t, 400 * pitch, partials, sample_rate)
    knock = band(rng, t.size, 500, 2_000, sample_rate) * np.exp(-t / 0.004)
    return _finished(tone + 0.3 * knock, sample_rate)


def bell(rng: Generator, sample_rate: int, pitch: float) -> NDArray:
    """Brass: partials with a minor third among them, all long."""
    t = seconds_axis(0.6, sample_rate)
    partials = (
        *((0.5, 0.4, 0.24), (1, 1, 0.22), (1.19, 0.7, 0.22), (1.5, 0.4, 0.2)),
        *((2, 0.8, 0.18), (2.51, 0.4, 0.15), (3.01, 0.4, 0.12), (4.1, 0.25, 0.1)),
    )
    tone = _ring(t, 780 * pitch, partials, sample_rate)
    strike = band(rng, t.size, 2_000, 6_000, sample_rate) * np.exp(-t / 0.004)
    return _finished(tone + 0.8 * strike, sample_rate, release=0.1)


def anvil(rng: Generator, sample_rate: int, pitch: float) -> NDArray:
    """A clang: high partials that have nothing in common, and a crack."""
    t = seconds_axis(0.4, sample_rate)
    partials = (
        *((1, 1, 0.1), (1.52, 0.9, 0.09), (2.17, 0.8, 0.07)),
        *((2.83, 0.6, 0.06), (3.39, 0.5, 0.05)),
    )
    tone = _ring(t, 2_050 * pitch, partials, sample_rate)
    crack = band(rng, t.size, 2_000, 7_000, sample_rate) * np.exp(-t / 0.015)
    return _finished(tone + 2.0 * crack, sample_rate)


def footstep(rng: Generator, sample_rate: int, pitch: float) -> NDArray:
    """A heel's dull thud, and gravel."""
    t = seconds_axis(0.35, sample_rate)
    heel = band(rng, t.size, 90 * pitch, 350 * pitch, sample_rate) * np.exp(-t / 0.035)
    gravel = band(rng, t.size, 900 * pitch, 3_000 * pitch, sample_rate) * np.exp(-t / 0.06)
    return _finished(heel + 0.5 * gravel, sample_rate)


def tick(rng: Generator, sample_rate: int, pitch: float) -> NDArray:
    """A dry click, gone after some hundredths of a second."""
    t = seconds_axis(0.12, sample_rate)
    partials = ((1, 1, 0.018), (1.63, 0.8, 0.012), (2.4, 0.5, 0.008))
    tone = _ring(t, 1_700 * pitch, partials, sample_rate)
    click = band(rng, t.size, 1_500, 6_000, sample_rate) * np.exp(-t / 0.003)
    return _finished(tone + click, sample_rate)


def drip(rng: Generator, sample_rate: int, pitch: float) -> NDArray:
    """A bubble's tone that rises."""
    t = seconds_axis(0.25, sample_rate)
    start = pitch * rng.uniform(480, 560)
    tone = np.sin(_phase(start * (1 + 1.7 * np.minimum(t / 0.11, 1)), sample_rate))
    return _finished(tone * np.minimum(1, t / 0.002) * np.exp(-t / 0.06), sample_rate)


def chirp(rng: Generator, sample_rate: int, pitch: float) -> NDArray:
    """A whistle that trills."""
    t = seconds_axis(rng.uniform(0.24, 0.32), sample_rate)
    trill = rng.uniform(16, 22)
    frequency = pitch * 3_600 * (1 + 0.22 * np.sin(2 * np.pi * trill * t))
    tone = np.sin(_phase(frequency, sample_rate)) * np.minimum(1, t / 0.003)
    return _finished(tone, sample_rate, release=0.1)


EVENT_SOUNDS: dict[str, EventSound] = {
    "ball": ball,
    "beep": beep,
    "marimba": marimba,
    "bell": bell,
    "anvil": anvil,
    "footsteps": footstep,
    "clock": tick,
    "drip": drip,
    "bird": chirp,
}


def _ring(t: NDArray, frequency: float, partials: Partials, sample_rate: int) -> NDArray:
    """Partials of `frequency` in Hz that die away."""
    tone = np.zeros_like(t)
    for ratio, amplitude, decay in partials:
        if ratio * frequency < HIGHEST * sample_rate:
            tone += amplitude * np.sin(2 * np.pi * ratio * frequency * t) * np.exp(-t / decay)
    return tone


def _phase(frequency: NDArray, sample_rate: int) -> NDArray:
    return 2 * np.pi * np.cumsum(frequency, dtype=np.float64) / sample_rate


def _full_scale(sound: NDArray) -> NDArray:
    return sound / max(np.abs(sound).max(), 1e-9)


def _finished(sound: NDArray, sample_rate: int, release: float = 0.01) -> NDArray:
    """At full scale, its end faded to nothing in `release` seconds."""
    fade = min(round(release * sample_rate), sound.size)
    sound = sound.astype(np.float32)
    sound[sound.size - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return _full_scale(sound)
