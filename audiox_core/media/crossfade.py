"""Fades and crossfades of constant power. Axes: `c` channels, `n` audio samples."""

from collections.abc import Sequence
from math import pi

import torch
from torch import Tensor


def fade_curve(samples: int) -> Tensor:
    """Make the rising quarter of a sine, `n` float32.

    Its square and that of its mirror image add up to 1: two different sounds keep their power in
    a crossfade.
    """
    steps = torch.arange(samples, dtype=torch.float32) + 0.5
    return (steps * (pi / 2) / max(samples, 1)).sin()


def crossfade(first: Tensor, second: Tensor) -> Tensor:
    """Fade from one sound to another with constant power, however similar they are.

    Different sounds get the equal-power fade (sine and cosine), equal ones the fade whose gains add
    up to 1, and others a fade between them, by their correlation. If the result would exceed both
    sounds and full scale, the fade is moved towards the latter, whose result never does.

    Source: Fink, Holters and Zölzer, "Signal-matched power-complementary cross-fading and dry-wet
    mixing", DAFx 2016.

    Args:
        first, second: `c n`, of the same shape.

    Returns:
        `c n`, float32.
    """
    if not first.shape[-1]:
        return first.float()
    rising = fade_curve(first.shape[-1])
    falling = rising.flip(0)
    both = 2 * rising * falling
    norm = (first.double().square().sum() * second.double().square().sum()).sqrt().item()
    alike = (first.double() * second.double()).sum().item() / norm if norm > 0 else 0.0
    mixed = first * falling + second * rising
    full = max(1.0, first.abs().amax().item(), second.abs().amax().item())
    needed = ((mixed.square() - full**2) / both).amax().item()
    similarity = min(max(alike, needed, 0.0), 1.0)
    return (mixed / (1 + similarity * both).sqrt()).clamp(-full, full)


def paste_back(
    decoded: Tensor, known: Tensor, spans: Sequence[tuple[int, int]], fade: int
) -> Tensor:
    """Restore the known samples outside of the regenerated spans.

    Args:
        decoded, known: the new and the known sound, `c n`.
        spans: regenerated samples, from and to, in order and apart from one another.
        fade: samples of the crossfade inside each end of a span, at most half of the span; there
            is none at the ends of the sound.

    Returns:
        `c n`.
    """
    length = decoded.shape[-1]
    result = known.clone()
    for begin, end in spans:
        last = min(end, length)
        result[:, begin:last] = decoded[:, begin:last]
        ramp = min(fade, (last - begin) // 2)
        rise, fall = slice(begin, begin + ramp), slice(last - ramp, last)
        if begin > 0:
            result[:, rise] = crossfade(known[:, rise], decoded[:, rise])
        if end < length:
            result[:, fall] = crossfade(decoded[:, fall], known[:, fall])
    return result
