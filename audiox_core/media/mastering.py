"""Bring a sound to a loudness below a true-peak ceiling. Axes: `c` channels, `n` samples."""

from math import inf, log10
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import check_number
from ..limits import CEILING_DB, LOWEST_CEILING, MAX_LUFS, MIN_LUFS
from .audio import check_waveform
from .limiter import BLOCK, block_peaks, limiter_gain, true_peak
from .loudness import Loudness, integrated_loudness, measure_loudness

_TOLERANCE = 0.03  # LU
_MOST_LIMITING = 24.0  # dB that peaks are lowered at most
_TRIES = 12
_AROUND = 0.5  # seconds of a loop that the limiter regards before and after it
_SILENCE = 1e-30  # stands for a peak of 0
_SLOPES = (0.1, 2.0)  # LU that 1 dB of gain brings, at least and at most


class Mastered(NamedTuple):
    """The result of `master`."""

    waveform: Tensor  # `c n`
    loudness: Loudness
    gain_db: float  # of the whole sound
    limited_db: float  # by which the limiter lowers the highest peak
    reached: bool  # the target loudness

    def shortfall(self, lufs: float) -> str:
        """Why a target was not reached, and what to do.

        Args:
            lufs: the target.
        """
        if self.loudness.lufs == -inf:
            return "The sound is too short or soft to measure its loudness: its level is kept."
        return (
            f"{lufs:g} LUFS cannot be reached without lowering peaks by more than "
            f"{self.limited_db:.0f} dB: the loudness is {self.loudness.lufs:.1f} LUFS. Use a lower "
            "target, or turn down the sound with these peaks."
        )


def master(
    waveform: Tensor,
    sample_rate: int,
    lufs: float | None,
    ceiling_db: float = CEILING_DB,
    *,
    loop: bool = False,
) -> Mastered:
    """Scale a sound to a target loudness; a limiter with look-ahead keeps peaks at the ceiling.

    The gain makes up for what the limiter takes from the loudness. The limiter lowers no peak by
    more than 24 dB: if that is not enough, the loudness is the highest that can be reached, and
    `reached` is False. Silence stays silent.

    Args:
        waveform: `c n`, one or two channels.
        sample_rate: Hz.
        lufs: target loudness: -14 to -16 for the web, -23 for European broadcast; None keeps the
            level and lowers only peaks above the ceiling.
        ceiling_db: highest true peak, dB of full scale.
        loop: the sound is repeated, so peaks at its beginning count at its end, too.

    Raises:
        SettingsError: a value out of range, or a waveform of another shape.
    """
    if lufs is not None:
        check_number("lufs", lufs, MIN_LUFS, MAX_LUFS)
    check_number("The ceiling", ceiling_db, LOWEST_CEILING, 0, unit=" dB")
    check_waveform(waveform, (1, 2))
    length = waveform.shape[-1]
    around = min(round(_AROUND * sample_rate), length) // BLOCK * BLOCK if loop else 0
    ends = (waveform[:, length - around :], waveform[:, :around])
    peaks = block_peaks(torch.cat([ends[0], waveform, ends[1]], dim=1) if around else waveform)
    peak_db = 20 * log10(max(peaks.amax().item(), _SILENCE))
    before = integrated_loudness(waveform, sample_rate)
    target = None if before == -inf else lufs
    highest = ceiling_db + _MOST_LIMITING - peak_db
    gain_db = 0.0 if target is None else min(target - before, highest)
    made, slope, last, missing = waveform, 1.0, None, 0.0
    for _ in range(_TRIES):
        made = waveform * 10 ** (gain_db / 20)
        if peak_db + gain_db > ceiling_db:
            gain = limiter_gain(peaks, sample_rate, ceiling_db - gain_db)
            made.mul_(gain[around : around + length])  # no further copy of a long sound
        if target is None:
            break
        loudness = integrated_loudness(made, sample_rate)
        missing = target - loudness
        if abs(missing) <= _TOLERANCE or (missing > 0 and gain_db >= highest):
            break
        if last is not None:
            slope = (loudness - last[1]) / (gain_db - last[0])
        last = gain_db, loudness
        gain_db = min(gain_db + missing / min(max(slope, _SLOPES[0]), _SLOPES[1]), highest)
    over = max(0.0, peak_db + gain_db - ceiling_db)
    made_db = true_peak(made) if over else peak_db + gain_db
    if made_db > ceiling_db:  # a gain that changes moves the peaks between samples a little
        made, made_db = made.mul_(10 ** ((ceiling_db - made_db) / 20)), ceiling_db
    reached = target == lufs and abs(missing) <= _TOLERANCE
    levels = measure_loudness(made, sample_rate, made_db)
    return Mastered(made, levels, gain_db, over, reached)
