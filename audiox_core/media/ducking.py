"""Ducking: turn sounds down while another one is loud. Axes: `c` channels, `n` audio samples."""

from dataclasses import dataclass
from math import exp

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from ..errors import check_number
from ..limits import ATTACK, MAX_GAIN_DB, RELEASE

_BLOCK_SECONDS = 0.01
_QUIET_DB, _LOUD_DB = -50.0, -30.0  # dBFS at which ducking begins and is complete
_MAX_SECONDS = 60


@dataclass(frozen=True)
class Ducking:
    """How far sounds are turned down, and how fast."""

    depth_db: float  # while the other sound is loud
    attack: float = ATTACK  # seconds in which 63 % of the way down is reached
    release: float = RELEASE  # seconds in which 63 % of the way back is reached

    def check(self) -> None:
        """Raise SettingsError if a value is out of range."""
        check_number("duck", self.depth_db, -MAX_GAIN_DB, MAX_GAIN_DB, unit=" dB")
        check_number("attack", self.attack, 0, _MAX_SECONDS, unit=" s")
        check_number("release", self.release, 0, _MAX_SECONDS, unit=" s")

    def gain_db(self, loud: Tensor, sample_rate: int) -> Tensor:
        """The gain of the sounds that are turned down, `n` in dB.

        Args:
            loud: the sound that they make room for, `c n`.
            sample_rate: Hz.
        """
        return -self.depth_db * presence(loud, sample_rate, self.attack, self.release)


def presence(
    waveform: Tensor, sample_rate: int, attack: float = ATTACK, release: float = RELEASE
) -> Tensor:
    """Follow the level of a sound.

    Args:
        waveform: `c n`.
        sample_rate: Hz.
        attack, release: time constants in seconds.

    Returns:
        `n` in 0..1: 0 below -50 dBFS, 1 above -30 dBFS, linear in decibels between them.
    """
    length = waveform.shape[-1]
    block = max(1, round(_BLOCK_SECONDS * sample_rate))
    power = pad(waveform.square().mean(dim=0), (0, -length % block)).view(-1, block).mean(dim=1)
    level = 10 * (power + 1e-12).log10()
    there = ((level - _QUIET_DB) / (_LOUD_DB - _QUIET_DB)).clamp(0, 1)
    seconds = block / sample_rate
    rise, fall = (1 - exp(-seconds / t) if t > 0 else 1.0 for t in (attack, release))
    followed, value = [], 0.0
    for target in there.tolist():
        value += (target - value) * (rise if target > value else fall)
        followed.append(value)
    levels = interpolate(
        torch.tensor([[followed]], dtype=torch.float32), len(followed) * block, mode="linear"
    )
    return levels[0, 0, :length]
