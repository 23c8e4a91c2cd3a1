"""Distances between two sounds. Axes: `c` channels, `n` samples, `k` bands, `t` frames."""

from torch import Tensor

from ...analysis.spectra import spectrogram
from ...conditioners.mel import mel_filters
from ...config import MelConfig

FFT = 2_048
FLOOR = 1e-4  # of a full-scale tone: anything weaker is silence
MEL_BANDS, MEL_SECONDS, MEL_FLOOR_DB = 64, 0.05, -80.0  # the length of a frame; the weakest level
FINE_SECONDS, FINE_SHARE = 0.001, 0.25  # of an onset: a frame, and how much of the highest energy


def si_sdr(prediction: Tensor, target: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio of `c n` in decibels (arXiv 1811.02508)."""
    target, prediction = target.double().flatten(), prediction.double().flatten()
    scaled = target * (prediction @ target) / (target @ target).clamp(min=1e-12)
    distortion = (prediction - scaled).square().sum().clamp(min=1e-12)
    return (10 * (scaled.square().sum().clamp(min=1e-12) / distortion).log10()).item()


def log_spectral_distance(prediction: Tensor, target: Tensor, sample_rate: int) -> float:
    """Root mean square distance of the log spectra of `c n` in decibels, averaged over time."""
    levels = [
        20 * (spectrogram(a, sample_rate, FFT) / (FFT / 4) + FLOOR).log10()
        for a in (prediction, target)
    ]
    return (levels[0] - levels[1]).square().mean(dim=1).sqrt().mean().item()


def log_mel_distance(prediction: Tensor, target: Tensor, sample_rate: int) -> float:
    """Mean absolute distance of the levels of `c n` in mel bands, in decibels."""
    levels = [_mel_levels(audio, sample_rate) for audio in (prediction, target)]
    return (levels[0] - levels[1]).abs().mean().item()


def _mel_levels(audio: Tensor, sample_rate: int) -> Tensor:
    """Audio `c n` -> decibels below a full-scale tone, `k t`."""
    fft = 2 * round(MEL_SECONDS * sample_rate / 2)
    power = (spectrogram(audio, sample_rate, fft) / (fft / 4)).square().mean(dim=0)
    filters = mel_filters(MelConfig(sample_rate, fft, 0, MEL_BANDS)).to(power)
    return 10 * (filters.T @ power).clamp(min=10 ** (MEL_FLOOR_DB / 10)).log10()


def fine_onset(audio: Tensor, sample_rate: int) -> float:
    """Seconds at which the energy of a single sound `c n` first reaches a quarter of its peak."""
    samples = round(FINE_SECONDS * sample_rate)
    frames = audio[:, : audio.shape[-1] // samples * samples].unfold(-1, samples, samples)
    energy = frames.square().mean(dim=(0, 2))
    first = (energy >= FINE_SHARE * energy.max()).nonzero()[0, 0].item()
    return first * samples / sample_rate


def jump_rank(audio: Tensor, sample: int, around: int) -> float:
    """Where the step between two samples ranks among those around it, 0..1; 1 is the largest.

    Args:
        audio: `c n`.
        sample: the step lies between this one and the one before it.
        around: samples to either side that are looked at.
    """
    begin = max(0, sample - around)
    steps = (audio[:, begin + 1 : sample + around] - audio[:, begin : sample + around - 1]).abs()
    steps = steps.amax(dim=0)
    return (steps < steps[sample - 1 - begin]).float().mean().item()


def energy_steps(audio: Tensor, sample_rate: int, seconds: float = 0.05) -> tuple[Tensor, float]:
    """How much the level of `c n` changes from one frame to the next, in decibels.

    Args:
        audio: `c n`.
        sample_rate: Hz.
        seconds: length of a frame.

    Returns:
        Absolute changes; number k lies at (k + 1) frames. And the exact length of a frame.
    """
    samples = round(seconds * sample_rate)
    frames = audio[:, : audio.shape[-1] // samples * samples].unfold(-1, samples, samples)
    levels = 10 * (frames.square().mean(dim=(0, 2)) + FLOOR**2).log10()
    return levels.diff().abs(), samples / sample_rate
