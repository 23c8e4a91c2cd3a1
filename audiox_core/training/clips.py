"""What a model is trained on: clips of picture, sound and words, from wherever they come.

Axes: `c` audio channels, `n` samples, `f` video frames, `h w` pixels.
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Clip:
    """One item: a target sound, and what the model sees, reads and hears of it.

    What is None was never there, and is learned as absent.
    """

    audio: Tensor  # the target, `2 n` at the model's rate, one window long (zeros behind its end)
    caption: str = ""
    frames: Tensor | None = None  # `f 3 h w` uint8 at `VideoConfig.fps`, as many as the model reads
    sync: Tensor | None = None  # the same clip at `SyncConfig.fps`, for a model that looks twice
    prompt: Tensor | None = None  # sound or music prompt of the conditioned seconds, `2 n`


class Source(Protocol):
    """Clips by number. The same number is the same clip, in every process and every run."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def clip(self, index: int) -> Clip:
        """A clip. Raises AudioXError, in one line, for an item that cannot be used."""
        ...
