"""Measure loudness (EBU R 128, ITU-R BS.1770) and bring a sound to a target loudness.

Measured by FFmpeg's `ebur128` filter. `c` is channels (1 or 2), `n` samples.
"""

from fractions import Fraction
from math import inf, log10
from typing import NamedTuple

import av.error
import av.filter
from torch import Tensor

from .audio import check_waveform
from .audio_frames import audio_frames

SILENCE = -70.0  # LUFS; what lies below is gated out by the standard


class Loudness(NamedTuple):
    """The result of `measure_loudness`."""

    lufs: float  # integrated; -inf for silence and for less than 0.4 s
    peak_db: float  # true peak, in dB of full scale


def measure_loudness(waveform: Tensor, sample_rate: int) -> Loudness:
    """Measure integrated loudness and true peak with FFmpeg's `ebur128` filter.

    Args:
        waveform: `c n`, one or two channels.
        sample_rate: Hz.
    """
    check_waveform(waveform, (1, 2))
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=sample_rate,
        format="fltp",
        layout="mono" if len(waveform) == 1 else "stereo",
        time_base=Fraction(1, sample_rate),
    )
    meter = graph.add("ebur128", "metadata=1:peak=true:framelog=quiet")
    source.link_to(meter)
    meter.link_to(graph.add("abuffersink"))
    graph.configure()
    samples, found = waveform.detach().cpu().float().numpy(), {}
    for block in (*audio_frames(samples, sample_rate, "fltp"), None):  # None flushes
        graph.push(block)
        while (frame := _pull(graph)) is not None:
            found = frame.metadata or found  # a short last frame has none
    lufs = float(found.get("lavfi.r128.I", -inf))
    peak = waveform.abs().max().item()
    peak = max(peak, float(found.get("lavfi.r128.true_peak", 0)))
    return Loudness(lufs if lufs > SILENCE else -inf, 20 * log10(peak) if peak else -inf)


def normalize_loudness(
    waveform: Tensor, sample_rate: int, lufs: float = -16.0, peak_db: float = -1.0
) -> Tensor:
    """Scale audio to a target loudness, as far as its true peak allows; silence stays silent.

    Args:
        waveform: `c n`.
        sample_rate: Hz.
        lufs: target loudness: -14 to -16 for the web, -23 for European broadcast.
        peak_db: highest true peak, dB; the gain is lowered to it, without a limiter.
    """
    measured = measure_loudness(waveform, sample_rate)
    if measured.lufs == -inf:
        return waveform
    gain = min(lufs - measured.lufs, peak_db - measured.peak_db)
    return waveform * 10 ** (gain / 20)


def _pull(graph: av.filter.Graph) -> av.AudioFrame | None:
    try:
        frame = graph.pull()
    except (av.error.BlockingIOError, av.error.EOFError):
        return None
    return frame if isinstance(frame, av.AudioFrame) else None
