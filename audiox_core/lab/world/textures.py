"""Sounds without events, whose level follows the picture: rain, wind, an engine.

Each is a function of a random generator, a sample rate in Hz, a pitch factor and the level at
every sample (`n`, 0..1), and gives mono samples `n`.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .sounds import band_pass

TextureSound = Callable[[Generator, int, float, NDArray], NDArray]


def rain(rng: Generator, sample_rate: int, pitch: float, level: NDArray) -> NDArray:
    """Hiss, and drops in it that patter."""
    samples = level.size
    drops = rng.standard_normal(samples, np.float32) * (rng.random(samples, np.float32) < 0.004)
    spectrum = np.fft.rfft(0.25 * rng.standard_normal(samples, np.float32) + 5.0 * drops)
    spectrum *= band_pass(samples, 1_600 * pitch, 6_000 * pitch, sample_rate)
    return np.fft.irfft(spectrum, samples).astype(np.float32) * level


def wind(rng: Generator, sample_rate: int, pitch: float, level: NDArray) -> NDArray:
    """A rush that grows brighter as it grows."""
    samples = level.size
    spectrum = np.fft.rfft(rng.standard_normal(samples, np.float32))
    calm = spectrum * band_pass(samples, 90 * pitch, 260 * pitch, sample_rate)
    gust = spectrum * band_pass(samples, 420 * pitch, 800 * pitch, sample_rate)
    calm, gust = (np.fft.irfft(part, samples).astype(np.float32) for part in (calm, gust))
    return level * calm * 0.7 + level**2 * gust


def engine(rng: Generator, sample_rate: int, pitch: float, level: NDArray) -> NDArray:
    """A motor's buzz: its firing rate and its loudness follow the level."""
    phase = np.cumsum(pitch * (45 + 110 * level), dtype=np.float64) / sample_rate
    cycle = np.linspace(0, 2 * np.pi, 4_096, endpoint=False)
    uneven = rng.uniform(0.7, 1.3, 12)
    waves = (uneven[k - 1] / k * np.sin(k * cycle) for k in range(1, 13))
    table = sum(waves, np.zeros_like(cycle)).astype(np.float32)
    buzz = table[(phase * cycle.size).astype(np.int64) % cycle.size]
    return buzz * (0.3 + 0.7 * level)


TEXTURE_SOUNDS: dict[str, TextureSound] = {"rain": rain, "wind": wind, "engine": engine}
