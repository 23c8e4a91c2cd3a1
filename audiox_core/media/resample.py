"""Change the sample rate of a waveform.

`torchaudio.functional.resample` is used where torchaudio loads. Elsewhere the same band-limited
interpolation is computed with torch alone, so that the results agree on every machine (to 1e-5).
Where the ratio of the rates would need a very large filter, FFmpeg's resampler is used.

All three keep time: output sample `k` lies at `k / to_rate` seconds, and there are
`ceil(n * to_rate / from_rate)` of them. Axes: `c` channels, `n` and `m` samples.
"""

import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from math import ceil, gcd, pi

import av
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

from ..errors import SettingsError
from .audio_frames import audio_frames

log = logging.getLogger(__name__)

Resampler = Callable[[Tensor, int, int], Tensor]

# the filter has about this many taps: 44,100 to 44,101 Hz would take 8 GB
_MAX_TAPS = 10_000_000
_FILTER = 64  # samples at the lower rate that FFmpeg's filter spans, with some to spare


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
    huge = (from_rate // shared) * (to_rate // shared) > _MAX_TAPS
    change = resample_by_ffmpeg if huge else _resampler()
    return change(waveform.float(), from_rate, to_rate)


def resample_blocks(waveform: Tensor, from_rate: int, to_rate: int, block: int) -> Iterator[Tensor]:
    """Change the sample rate of a long sound, block by block; joined they are as from `resample`.

    Args:
        waveform: `c n`, float.
        from_rate, to_rate: Hz.
        block: samples to convert at once, about.
    """
    if from_rate == to_rate:
        yield from waveform.split(block, dim=-1)
        return
    shared = gcd(from_rate, to_rate)
    source, target = from_rate // shared, to_rate // shared  # samples of one common period
    around = ceil(2 * _FILTER * max(1, from_rate / to_rate) / source)  # periods
    step = ceil(block / source)
    for first in range(0, ceil(waveform.shape[-1] / source), step):
        begin = max(0, first - around)
        part = waveform[:, begin * source : (first + step + around) * source]
        done = resample(part, from_rate, to_rate)[:, (first - begin) * target :]
        last = (first + step) * source >= waveform.shape[-1]
        yield done if last else done[:, : step * target]


@cache
def _resampler() -> Resampler:
    """Try torchaudio on a few samples: some installs load and fail only then."""
    try:
        from torchaudio.functional import resample as by_torchaudio

        by_torchaudio(torch.zeros(1, 8, dtype=torch.float32), 2, 1)
    except Exception as error:  # a broken install raises whatever its own checks raise
        log.info("Resampling uses torch: torchaudio does not work here (%s)", error)
        return resample_by_sinc
    log.info("Resampling uses torchaudio")
    return by_torchaudio


def resample_by_sinc(
    waveform: Tensor, from_rate: int, to_rate: int, *, zeros: int = 6, rolloff: float = 0.99
) -> Tensor:
    """Band-limited interpolation with a Hann-windowed sinc filter.

    Source: J. O. Smith, "Digital Audio Resampling", https://ccrma.stanford.edu/~jos/resample/.

    Args:
        waveform: `c n`, float32.
        from_rate: Hz.
        to_rate: Hz.
        zeros: zero crossings of the sinc on each side (torchaudio: `lowpass_filter_width`).
        rolloff: cutoff as a share of the lower Nyquist frequency.

    Returns:
        `c m`, float32, as torchaudio's `resample` with its default settings.
    """
    shared = gcd(from_rate, to_rate)
    source, target = from_rate // shared, to_rate // shared  # samples of one common period
    cutoff = rolloff * min(source, target)
    reach = ceil(zeros * source / cutoff)  # input samples that the filter needs on each side
    # in float32 as torchaudio computes it: float64 would be more exact and differ by 1.5e-5
    numbers = {"dtype": torch.float32, "device": waveform.device}
    inputs = torch.arange(-reach, source + reach, **numbers) / source
    outputs = torch.arange(target, **numbers) / target
    crossings = ((inputs - outputs[:, None]) * cutoff).clamp(-zeros, zeros)
    window = (crossings * pi / (2 * zeros)).cos().square()
    taps = crossings.sinc() * window * (cutoff / source)  # one filter an output
    padded = pad(waveform, (reach, source + reach))
    periods = conv1d(padded[:, None], taps[:, None], stride=source)  # `c target periods`
    length = ceil(Fraction(waveform.shape[-1] * target, source))
    return periods.transpose(1, 2).flatten(1)[:, :length]


def resample_by_ffmpeg(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """FFmpeg's resampler, for any ratio; differs from the others by less than 1 % of the peak.

    Args:
        waveform: `c n`, float32.
        from_rate: Hz.
        to_rate: Hz.

    Returns:
        `c m`, float32, on the device of `waveform`.
    """
    shared = gcd(from_rate, to_rate)
    length = -(-waveform.shape[-1] * to_rate // from_rate)
    # FFmpeg mirrors the start and holds back the end, so silence is put around. In front it must
    # be a whole number of samples at both rates.
    periods = -(-_FILTER * max(from_rate // to_rate, 1) * shared // from_rate)
    around = (periods * from_rate // shared, 2 * _FILTER * max(from_rate // to_rate, 1))
    padded = pad(waveform.detach().cpu(), around).numpy()
    resampled = torch.stack([_resample_channel(x, from_rate, to_rate) for x in padded])
    begin = periods * to_rate // shared
    return resampled[:, begin : begin + length].to(waveform.device)


def _resample_channel(samples: np.ndarray, from_rate: int, to_rate: int) -> Tensor:
    """`n` -> about `m` samples; the last few stay in FFmpeg's filter."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=to_rate)
    parts = [
        made.to_ndarray()[0]
        for frame in (*audio_frames(samples[None], from_rate, "fltp"), None)  # None flushes
        for made in resampler.resample(frame)
    ]
    return torch.from_numpy(np.concatenate(parts))


def resample_loop(waveform: Tensor, samples: int) -> Tensor:
    """Bring one period of a loop to another number of samples; its ends still fit together.

    The Fourier series of the loop is evaluated at the new samples, so pitch and tempo change in
    proportion: for a loop of 8 s at most by 0.3 %, or 5 cents.

    Args:
        waveform: `... n`, one period.
        samples: `m`.

    Returns:
        `... m`, float32.
    """
    count = waveform.shape[-1]
    if count == samples:
        return waveform
    return torch.fft.irfft(torch.fft.rfft(waveform.float()), samples) * (samples / count)
