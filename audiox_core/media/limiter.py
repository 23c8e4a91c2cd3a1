"""True peaks and a limiter with look-ahead. Axes: `c` channels, `n` samples, `k` blocks.

A true peak is the largest value of the sound between the samples, too (ITU-R BS.1770, annex 2): it
is what a converter or a lossy codec makes of the samples.
"""

from functools import cache
from math import ceil, inf, log, log10, pi

import torch
from torch import Tensor
from torch.nn.functional import conv1d, max_pool1d, pad

LOOK_AHEAD = 0.005  # seconds in which the gain falls before a peak
BLOCK = 16  # samples that share a peak
RECOVERY = 0.05  # seconds in which the gain recovers by 63 % of its decibels after a peak

_OVERSAMPLING = 8  # positions a sample
# Zero crossings of the filters on each side. Meters differ near the Nyquist frequency, by up to 0.5
# dB for limited noise; the highest of three filters is within 0.05 dB of the usual ones.
_ZEROS = (6, 12, 24)
_PIECE = 1 << 14  # samples that are filtered at once
_SILENT_DB = -200.0


def true_peak(waveform: Tensor) -> float:
    """The true peak of a sound, in dB of full scale; -inf for silence.

    Args:
        waveform: `c n`.
    """
    peak = block_peaks(waveform).amax().item()
    return 20 * log10(peak) if peak > 0 else -inf


def block_peaks(waveform: Tensor) -> Tensor:
    """The largest value of any channel in and around each 16 samples, 8 times oversampled.

    Args:
        waveform: `c n`.

    Returns:
        `k` float32, with `k = ceil(n / 16)`.
    """
    length = waveform.shape[-1]
    reach = max(_ZEROS)
    taps, found = _interpolation().to(waveform.device), []
    for begin in range(0, length, _PIECE):
        end = min(begin + _PIECE, length)
        before, after = max(0, begin - reach), min(length, end + reach)
        part = waveform[:, before:after].float()
        part = pad(part, (before - begin + reach, end + reach - after))
        values = conv1d(part[:, None], taps[:, None]).abs_().amax(dim=(0, 1))
        blocks = pad(values, (0, -len(values) % BLOCK)).view(-1, BLOCK)
        found.append(blocks.amax(dim=1))
    return torch.cat(found)


def limiter_gain(peaks: Tensor, sample_rate: int, ceiling_db: float) -> Tensor:
    """The gain that keeps the peaks of a sound at a ceiling, `n` up to 16 samples longer.

    It falls linearly in decibels in the `LOOK_AHEAD` before a peak, and recovers exponentially.

    Args:
        peaks: of the sound, from `block_peaks`.
        sample_rate: Hz.
        ceiling_db: highest true peak, dB of full scale.
    """
    over = 20 * peaks.double().clamp(min=10 ** (_SILENT_DB / 20)).log10() - ceiling_db
    needed = torch.maximum(over[:-1], over[1:])  # a peak between two blocks belongs to both
    needed = torch.cat([over[:1], needed, over[-1:]]).clamp(min=0)  # at the borders of the blocks
    # the largest of all falling exponentials, as a running maximum of logarithms
    decay = torch.arange(len(needed), dtype=torch.float64, device=peaks.device)
    decay = decay * (BLOCK / sample_rate / RECOVERY)
    held = ((needed.log() + decay).cummax(dim=0).values - decay).exp()
    ahead = max(1, ceil(LOOK_AHEAD * sample_rate / BLOCK))
    reach = max_pool1d(pad(held[None], (ahead, ahead), mode="replicate"), ahead + 1, stride=1)
    smooth = reach[0].unfold(0, ahead + 1, 1).mean(dim=1)
    smooth = smooth.float()
    share = torch.arange(BLOCK, dtype=torch.float32, device=peaks.device) / BLOCK
    gain = torch.lerp(smooth[:-1, None], smooth[1:, None], share).flatten()
    return gain.mul_(-log(10) / 20).exp_()  # in place: ten minutes are 106 MB


@cache
def _interpolation() -> Tensor:
    """The filters for the positions from a sample to the next one, `filters taps`."""
    positions = torch.arange(_OVERSAMPLING, dtype=torch.float32) / _OVERSAMPLING
    reach = max(_ZEROS)
    distance = torch.arange(-reach, reach + 1, dtype=torch.float32) - positions[:, None]
    windows = [(distance.clamp(-z, z) * (pi / (2 * z))).cos().square() for z in _ZEROS]
    return torch.cat([distance.sinc() * window for window in windows])
