"""A made sound over the sound that a video had. `c` is channels (1 or 2), `n` samples."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from .audio import check_waveform

_BLOCK_SECONDS = 0.01
_ATTACK_SECONDS, _RELEASE_SECONDS = 0.05, 0.4
_QUIET_DB, _LOUD_DB = -50.0, -30.0  # where ducking begins, where it is complete


def mix(
    made: Tensor,
    original: Tensor | None,
    sample_rate: int,
    *,
    gain_db: float = 0.0,
    original_db: float = 0.0,
    duck_db: float = 0.0,
) -> Tensor:
    """Put a made sound over another one; the result is as long as the made one.

    Args:
        made: `c n`.
        original: `c n` at the same rate; None: there is none. Cut or filled with silence.
        sample_rate: Hz.
        gain_db: of the made sound.
        original_db: of the original sound.
        duck_db: how far the original steps back while the made sound is loud.

    Returns:
        `2 n`.
    """
    made = _stereo(made) * 10 ** (gain_db / 20)
    if original is None:
        return made
    length = made.shape[-1]
    original = _stereo(original)[:, :length]
    original = pad(original, (0, length - original.shape[-1]))
    depth = original_db - duck_db * presence(made, sample_rate)
    return made + original * 10 ** (depth / 20)


def presence(waveform: Tensor, sample_rate: int) -> Tensor:
    """How much a sound is there at each sample, `c n` -> `n` in 0..1: quick up, slow down."""
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
    return interpolate(torch.tensor(followed)[None, None], length, mode="linear")[0, 0]


def _stereo(waveform: Tensor) -> Tensor:
    check_waveform(waveform, (1, 2))
    return waveform.float().expand(2, -1)
