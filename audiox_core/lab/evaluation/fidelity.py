"""Distances between two sounds. Axes: `c` channels, `n` samples."""

from torch import Tensor

from ...analysis.spectra import spectrogram

FFT = 2_048
FLOOR = 1e-4  # of a full-scale tone: anything weaker is silence


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
