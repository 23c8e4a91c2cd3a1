"""Key and tempo of a phrase, as far as a continuation has to keep them. Axes: `c n` audio."""

from math import log2

import torch
from torch import Tensor

from ...analysis.onsets import onset_strength
from ...analysis.spectra import HOP_SECONDS, spectrogram

FFT = 8_192
LOWEST, HIGHEST = 55.0, 2_000.0  # Hz, of the notes that count


def share_in_scale(audio: Tensor, sample_rate: int, pitch_classes: set[int]) -> float:
    """How much of the tones' energy lies on some of the twelve pitch classes, 0..1; 0 is C."""
    energy = chroma(audio, sample_rate)
    return (energy[sorted(pitch_classes)].sum() / energy.sum().clamp(min=1e-12)).item()


def chroma(audio: Tensor, sample_rate: int) -> Tensor:
    """Energy of each of the twelve pitch classes, from C on."""
    power = spectrogram(audio.mean(dim=0)[None], sample_rate, FFT)[0].square().sum(dim=1)
    energy = torch.zeros(12)
    for number, value in enumerate(power.tolist()):
        hertz = number * sample_rate / FFT
        if LOWEST <= hertz <= HIGHEST:
            energy[round(69 + 12 * log2(hertz / 440)) % 12] += value
    return energy


def keeps_tempo(audio: Tensor, sample_rate: int, bpm: float) -> float:
    """How much a clip repeats itself after a beat of `bpm`, against other spans: 0 is not at all.

    The autocorrelation of its onsets at one and two beats, minus its mean over all spans.
    """
    strength = onset_strength(audio, sample_rate)
    strength = strength - strength.mean()
    spectrum = torch.fft.rfft(strength, 2 * len(strength))
    alike = torch.fft.irfft(spectrum.abs().square())[: len(strength) // 2]
    alike = alike / alike[0].clamp(min=1e-12)
    beat = 60 / bpm / HOP_SECONDS
    at_beats = [alike[round(beats * beat) - 2 : round(beats * beat) + 3].max() for beats in (1, 2)]
    return (torch.stack(at_beats).mean() - alike[round(0.2 / HOP_SECONDS) :].mean()).item()
