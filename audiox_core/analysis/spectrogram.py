"""A spectrogram with a logarithmic frequency axis, as wide and high as the picture it is for."""

from math import ceil, log10

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_max_pool1d, pad

FFT = 2_048
LOWEST_HZ, HIGHEST_HZ = 40.0, 20_000.0
RANGE_DB = 80.0  # shown below the loudest level
FLOOR_DB = -140.0
HOP = 512  # samples between two spectra; fewer where a column is shorter
BLOCK = 32  # columns that are computed at once, so that memory does not grow with the length
COLOURS = ((3, 3, 18), (70, 12, 105), (186, 54, 84), (249, 142, 9), (252, 255, 190))  # of levels


def log_spectrogram(waveform: Tensor, sample_rate: int, width: int, height: int) -> Tensor:
    """The levels of a sound at logarithmic frequencies: the loudest one in each pixel.

    Args:
        waveform: `c n`; the channels are added in power.
        sample_rate: Hz.
        width: columns; they divide the length evenly.
        height: rows, from `LOWEST_HZ` to `HIGHEST_HZ` or half of the sample rate.

    Returns:
        `height width` in dB, row 0 lowest; 0 dB is a sine of full scale in one channel.
    """
    samples = waveform.shape[-1]
    edges = frequency_edges(height, sample_rate) * FFT / sample_rate
    window = torch.hann_window(FFT, device=waveform.device)
    padded = pad(waveform.float(), (FFT // 2, FFT // 2))
    columns = []
    for first in range(0, width, BLOCK):
        count = min(BLOCK, width - first)
        begin, end = samples * first // width, ceil(samples * (first + count) / width)
        hop = max(1, min(HOP, (end - begin) // count))
        part = padded[:, begin : max(end, begin + 1) + FFT - 1]
        spectra = torch.stft(part, FFT, hop, window=window, center=False, return_complex=True)
        power = (spectra.abs() * (2 / window.sum())).square().sum(dim=0)
        columns.append(adaptive_max_pool1d(_rows(power, edges)[None], count)[0])
    return (10 * torch.cat(columns, dim=1).clamp(min=1e-14).log10()).clamp(min=FLOOR_DB)


def frequency_edges(height: int, sample_rate: int) -> Tensor:
    """The borders of the rows in Hz, `height + 1`, evenly spaced in octaves."""
    highest = min(HIGHEST_HZ, sample_rate / 2)
    return torch.logspace(log10(LOWEST_HZ), log10(highest), height + 1)


def _rows(power: Tensor, edges: Tensor) -> Tensor:
    """Spectra `k t` -> the loudest bin in each row; between bins where a row is narrower."""
    middles = (edges[:-1] * edges[1:]).sqrt()
    below = middles.long().clamp(max=len(power) - 2)
    share = (middles - below)[:, None].to(power)
    between = power[below].lerp(power[below + 1], share)
    first, last = edges[:-1].ceil().long(), edges[1:].ceil().long()
    rows = [
        power[a:b].amax(dim=0) if b > a else between[row]
        for row, (a, b) in enumerate(zip(first.tolist(), last.tolist(), strict=True))
    ]
    return torch.stack(rows)


def coloured(share: NDArray) -> NDArray:
    """Levels in 0..1 -> pixels `... 3` uint8, from dark blue to pale yellow."""
    at = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(share, at, channel) for channel in zip(*COLOURS, strict=True)]
    return np.ascontiguousarray(np.stack(channels, axis=-1).round().astype(np.uint8))
