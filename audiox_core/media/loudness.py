"""Measure loudness (EBU R 128, ITU-R BS.1770) with FFmpeg's `ebur128` filter.

`c` is channels (1 or 2), `n` samples.
"""

from fractions import Fraction
from math import inf, log10
from typing import NamedTuple

import av.error
import av.filter
from torch import Tensor

from ..limits import MIN_LUFS
from .audio import check_waveform, sample_peak
from .audio_frames import audio_frames
from .limiter import true_peak

_LOUD = 1.01  # peak; below it +10 LUFS is out of reach
_SILENT_DB = -100.0  # dB of full scale


class Loudness(NamedTuple):
    """The result of `measure_loudness`."""

    lufs: float  # integrated; -inf for silence and for less than 0.4 s
    range_lu: float  # loudness range (EBU Tech 3342); 0 for less than 3 s
    peak_db: float  # true peak, in dB of full scale; -inf for silence

    def describe(self) -> str:
        """The levels in words."""
        if self.peak_db < _SILENT_DB:
            return "silent"
        lufs = f"{self.lufs:.1f} LUFS" if self.lufs > -inf else "too short or soft to measure"
        return f"{lufs}, range {self.range_lu:.1f} LU, true peak {self.peak_db:.1f} dB"


def measure_loudness(waveform: Tensor, sample_rate: int, peak_db: float | None = None) -> Loudness:
    """Measure integrated loudness, loudness range and true peak.

    Args:
        waveform: `c n`, one or two channels.
        sample_rate: Hz.
        peak_db: the true peak, where it is known.

    Raises:
        SettingsError: a waveform of another shape.
    """
    lufs, range_lu = _lufs_and_range(waveform, sample_rate)
    return Loudness(lufs, range_lu, true_peak(waveform) if peak_db is None else peak_db)


def integrated_loudness(waveform: Tensor, sample_rate: int) -> float:
    """Measure integrated loudness alone, LUFS; else as `measure_loudness`."""
    return _lufs_and_range(waveform, sample_rate)[0]


def _lufs_and_range(waveform: Tensor, sample_rate: int) -> tuple[float, float]:
    check_waveform(waveform, (1, 2))
    waveform = waveform.detach().cpu().float()
    peak = sample_peak(waveform) if waveform.numel() else 0.0
    if _LOUD < peak < inf:  # FFmpeg's histogram ends at +10 LUFS
        lufs, range_lu = _lufs_and_range(waveform / peak, sample_rate)
        return lufs + 20 * log10(peak), range_lu
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=sample_rate,
        format="fltp",
        layout="mono" if len(waveform) == 1 else "stereo",
        time_base=Fraction(1, sample_rate),
    )
    meter = graph.add("ebur128", "metadata=1:framelog=quiet")
    source.link_to(meter)
    meter.link_to(graph.add("abuffersink"))
    graph.configure()
    samples, found = waveform.numpy(), {}
    for block in (*audio_frames(samples, sample_rate, "fltp"), None):  # None flushes
        graph.push(block)
        while (frame := _pull(graph)) is not None:
            found = frame.metadata or found  # a short last frame has none
    lufs = float(found.get("lavfi.r128.I", -inf))
    return lufs if lufs > MIN_LUFS else -inf, float(found.get("lavfi.r128.LRA", 0))


def _pull(graph: av.filter.Graph) -> av.AudioFrame | None:
    try:
        frame = graph.pull()
    except (av.error.BlockingIOError, av.error.EOFError):
        return None
    return frame if isinstance(frame, av.AudioFrame) else None
