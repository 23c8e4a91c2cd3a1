"""Onsets of sounds, and how they match the events of a picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool1d, relu

from .spectra import HOP_SECONDS, band_levels

RISE = 3  # frames over which a sound has to get louder
APART = 0.3  # s between two onsets, at least
SHARE = 0.35  # of the strongest rise in the clip: a smaller one is not an onset
LEAST_DB = 3.0  # mean rise of all bands: a smaller one never is an onset


def onset_times(audio: Tensor, sample_rate: int) -> list[float]:
    """Seconds at which sounds begin in `c n`, by how much all bands rise together."""
    strength = onset_strength(audio, sample_rate)
    around = round(APART / HOP_SECONDS)
    highest = max_pool1d(strength[None], 2 * around + 1, 1, around)[0]
    threshold = max(LEAST_DB, SHARE * strength.max().item())
    peaks = (strength == highest) & (strength >= threshold)
    times: list[float] = []
    for frame in peaks.nonzero()[:, 0].tolist():
        if not times or frame * HOP_SECONDS - times[-1] >= APART:
            times.append(frame * HOP_SECONDS)
    return times


def onset_strength(audio: Tensor, sample_rate: int) -> Tensor:
    """Mean rise in decibels over all bands of `c n`, one value each 10 ms, `t`."""
    levels = band_levels(audio, sample_rate)
    rise = relu(levels[:, RISE:] - levels[:, :-RISE]).mean(dim=0)
    before = torch.zeros(RISE // 2 + 1, device=rise.device)
    after = torch.zeros(RISE - RISE // 2 - 1, device=rise.device)
    return torch.cat([before, rise, after])


@dataclass(frozen=True)
class Matching:
    """One-to-one pairs of onsets and targets."""

    offsets: tuple[float, ...]  # s, onset minus target, of each pair
    found: int
    targets: int

    def __add__(self, other: "Matching") -> "Matching":
        """Both together, as if they were one clip."""
        pairs = self.offsets + other.offsets
        return Matching(pairs, self.found + other.found, self.targets + other.targets)

    @property
    def precision(self) -> float:
        """Share of the onsets with a target."""
        return len(self.offsets) / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of the targets with an onset."""
        return len(self.offsets) / self.targets if self.targets else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.found + self.targets
        return 2 * len(self.offsets) / total if total else 0.0


def match(found: Sequence[float], targets: Sequence[float], tolerance: float) -> Matching:
    """As many pairs as possible that lie within `tolerance` seconds; both lists ascending."""
    offsets, i, j = [], 0, 0
    while i < len(found) and j < len(targets):
        offset = found[i] - targets[j]
        if abs(offset) <= tolerance:
            offsets.append(offset)
        # in ascending order the earlier one has no better partner left
        i += offset <= tolerance
        j += offset >= -tolerance
    return Matching(tuple(offsets), len(found), len(targets))
