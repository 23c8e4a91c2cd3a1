"""Random streams of a run, made from its seed and the step, so that none has to be saved.

Item k of a step gets the same numbers whichever process works on it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor


def generator(seed: int, *name: object) -> torch.Generator:
    """The random stream of a name such as `("noise", step, item)`."""
    digest = hashlib.blake2b(repr((seed, *name)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def noise(shape: tuple[int, ...], seed: int, *name: object, items: range) -> Tensor:
    """Unit noise of some items of a step, `b ...` for `shape` of one."""
    return torch.stack(
        [torch.randn(shape, generator=generator(seed, *name, item)) for item in items]
    )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator, which layers draw from; it is restored after the block."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def clip_at(position: int, clips: int, seed: int) -> int:
    """The clip at a position, counted over all steps: every epoch has all clips, shuffled."""
    epoch, place = divmod(position, clips)
    return _shuffled(clips, seed, epoch)[place]


@lru_cache(maxsize=4)
def _shuffled(clips: int, seed: int, epoch: int) -> list[int]:
    return torch.randperm(clips, generator=generator(seed, "order", epoch)).tolist()
