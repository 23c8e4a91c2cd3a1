"""All chance of a run from its seed and the step: nothing of it has to be kept to go on.

Item k of a step is the same whichever process works on it, so that the work can be shared.
"""

import hashlib
from functools import lru_cache

import torch
from torch import Tensor


def generator(seed: int, *what: object) -> torch.Generator:
    """Chance of its own for everything that has a name, such as `("noise", step, item)`."""
    digest = hashlib.blake2b(repr((seed, *what)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def noise(shape: tuple[int, ...], seed: int, *what: object, items: range) -> Tensor:
    """Unit noise of some items of a step, `b ...` for `shape` of one."""
    return torch.stack(
        [torch.randn(shape, generator=generator(seed, *what, item)) for item in items]
    )


class Order:
    """Which clips a step looks at: all of them in a new order again and again."""

    def __init__(self, seed: int, clips: int) -> None:
        self.seed, self.clips = seed, clips
        self._shuffled = lru_cache(maxsize=4)(self._shuffle)

    def clip(self, position: int) -> int:
        """The clip that comes at a position, counted over all steps."""
        epoch, place = divmod(position, self.clips)
        return self._shuffled(epoch)[place]

    def _shuffle(self, epoch: int) -> list[int]:
        return torch.randperm(self.clips, generator=generator(self.seed, "order", epoch)).tolist()
