"""Mix a generated sound with the original sound of a video. `c` channels (1 or 2), `n` samples."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from ..errors import SettingsError, check_number
from .audio import check_waveform

_BLOCK_SECONDS = 0.01
_ATTACK_SECONDS, _RELEASE_SECONDS = 0.05, 0.4
_MAX_GAIN_DB = 120.0
_QUIET_DB, _LOUD_DB = -50.0, -30.0  # dBFS at which ducking begins and is complete


def mix(
    made: Tensor,
    original: Tensor | None,
    sample_rate: int,
    *,
    gain_db: float = 0.0,
    original_db: float = 0.0,
    duck_db: float = 0.0,
) -> Tensor:
    """Mix a generated sound with another one; the result is as long as the generated one.

    Args:
        made: the generated sound, `c n`.
        original: `c n` at the same rate, cut or padded with silence; None if there is none.
        sample_rate: Hz.
        gain_db: gain of the generated sound.
        original_db: gain of the original sound.
        duck_db: by how much the original is lowered while the generated sound is loud.

    Returns:
        `2 n`.

    Raises:
        SettingsError: a waveform of another shape, or one that is not finite.
    """
    for name, gain in (("gain", gain_db), ("original", original_db), ("duck", duck_db)):
        check_number(name, gain, -_MAX_GAIN_DB, _MAX_GAIN_DB, unit=" dB")
    made = _stereo(made)
    made = made * 10 ** (gain_db / 20) if gain_db else made  # no copy of a long sound
    if original is None:
        return made
    length = made.shape[-1]
    original = _stereo(original)[:, :length]
    original = pad(original, (0, length - original.shape[-1]))
    depth = original_db - duck_db * presence(made, sample_rate)
    return made + original * 10 ** (depth / 20)


def place(waveform: Tensor, sample_rate: int, start: float, seconds: float) -> Tensor:
    """Put a sound at a time of a longer one: silence around it, cut at the end.

    Args:
        waveform: `c n`.
        sample_rate: Hz.
        start: second at which the sound begins.
        seconds: length of the result.

    Returns:
        `c m`, with `m = round(seconds * sample_rate)`.

    Raises:
        SettingsError: `start` is not a number from 0 to below `seconds`.
    """
    if not 0 <= start < seconds:
        raise SettingsError(
            f"start is {start:g} s, but the video lasts {seconds:.2f} s: the sound must start "
            "within it."
        )
    length, before = round(seconds * sample_rate), round(start * sample_rate)
    waveform = waveform[:, : length - before]
    after = length - before - waveform.shape[-1]
    return pad(waveform, (before, after)) if before or after else waveform


def presence(waveform: Tensor, sample_rate: int) -> Tensor:
    """Follow the level of a sound with a fast attack and a slow release.

    Args:
        waveform: `c n`.
        sample_rate: Hz.

    Returns:
        `n` in 0..1: 0 below -50 dBFS, 1 above -30 dBFS, linear in decibels between them.
    """
    length = waveform.shape[-1]
    block = max(1, round(_BLOCK_SECONDS * sample_rate))
    power = pad(waveform.square().mean(dim=0), (0, -length % block)).view(-1, block).mean(dim=1)
    level = 10 * (power + 1e-12).log10()
    there = ((level - _QUIET_DB) / (_LOUD_DB - _QUIET_DB)).clamp(0, 1)
    rise, fall = (1 - 2.718 ** (-_BLOCK_SECONDS / t) for t in (_ATTACK_SECONDS, _RELEASE_SECONDS))
    followed, value = [], 0.0
    for target in there.tolist():
        value += (target - value) * (rise if target > value else fall)
        followed.append(value)
    levels = torch.tensor(followed, dtype=torch.float32)
    return interpolate(levels[None, None], length, mode="linear")[0, 0]


def _stereo(waveform: Tensor) -> Tensor:
    check_waveform(waveform, (1, 2))
    return waveform.float().expand(2, -1)
