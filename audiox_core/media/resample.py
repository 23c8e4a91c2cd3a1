"""One sample rate to another: by torchaudio where it works, else by FFmpeg's resampler.

Both keep time: output sample `k` lies at `k / to_rate` seconds, and there are
`ceil(n * to_rate / from_rate)` of them.
"""

import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from math import gcd

import av
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ..errors import SettingsError

log = logging.getLogger(__name__)

Resampler = Callable[[Tensor, int, int], Tensor]

# torchaudio keeps a filter of about this many numbers: 44,100 to 44,101 Hz would take 8 GB
_MOST_PHASES = 10_000_000
_FILTER = 64  # samples at the lower rate that FFmpeg's filter spans, with some to spare
_CHUNK = 1 << 16  # samples handed to FFmpeg at a time


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Change the sample rate; the same rate gives the same tensor.

    Args:
        waveform: `c n`, float.
        from_rate: Hz.
        to_rate: Hz.

    Returns:
        `c m`, float32, with `m = ceil(n * to_rate / from_rate)`.

    Raises:
        SettingsError: a rate below 1 Hz.
    """
    if from_rate < 1 or to_rate < 1:
        raise SettingsError(f"Sample rates are {from_rate} and {to_rate} Hz: both must be above 0.")
    if from_rate == to_rate or waveform.shape[-1] == 0:
        return waveform
    shared = gcd(from_rate, to_rate)
    odd = (from_rate // shared) * (to_rate // shared) > _MOST_PHASES
    change = resample_by_ffmpeg if odd else _resampler()
    return change(waveform.float(), from_rate, to_rate)


@cache
def _resampler() -> Resampler:
    """Try torchaudio on a few samples: some installs load and fail only then."""
    try:
        from torchaudio.functional import resample as by_torchaudio

        by_torchaudio(torch.zeros(1, 8), 2, 1)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        log.info("Resampling uses FFmpeg: torchaudio does not work here (%s)", error)
        return resample_by_ffmpeg
    log.info("Resampling uses torchaudio")
    return by_torchaudio


def resample_by_ffmpeg(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """As `resample`, without torchaudio; the numbers differ by less than 1 % of the peak.

    Args:
        waveform: `c n`, float32.
        from_rate: Hz.
        to_rate: Hz.
    """
    shared = gcd(from_rate, to_rate)
    length = -(-waveform.shape[-1] * to_rate // from_rate)
    # Silence around, as torchaudio has it: FFmpeg mirrors the start and keeps back an end. As
    # much in front as comes out in whole samples.
    periods = -(-_FILTER * max(from_rate // to_rate, 1) * shared // from_rate)
    around = (periods * from_rate // shared, 2 * _FILTER * max(from_rate // to_rate, 1))
    padded = pad(waveform.detach().cpu(), around).numpy()
    resampled = torch.stack([_resample_channel(x, from_rate, to_rate) for x in padded])
    begin = periods * to_rate // shared
    return resampled[:, begin : begin + length].to(waveform.device)


def _resample_channel(samples: np.ndarray, from_rate: int, to_rate: int) -> Tensor:
    """`n` -> about `m` samples: the last few stay in FFmpeg's filter."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=to_rate)
    parts = [
        made.to_ndarray()[0]
        for frame in (*_frames(samples, from_rate), None)  # None lets out what it can
        for made in resampler.resample(frame)
    ]
    return torch.from_numpy(np.concatenate(parts))


def _frames(samples: np.ndarray, rate: int) -> Iterator[av.AudioFrame]:
    for begin in range(0, len(samples), _CHUNK):
        part = np.ascontiguousarray(samples[None, begin : begin + _CHUNK], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
        yield frame
