"""A cache of encoded features: another prompt or seed does not encode the video again.

The caller creates a cache and passes it in; it lives as long as the caller keeps it.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import torch
from torch import nn

from .encode import Features

MEGABYTE = 1 << 20


class FeatureCache:
    """Features under keys of their source; the least recently used ones are dropped first."""

    def __init__(self, max_bytes: int = 64 * MEGABYTE) -> None:
        """`max_bytes`: limit for all features together; a window takes 0.4 MB. 0 keeps nothing."""
        self.max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, Features] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Features]) -> Features:
        """The features of a key: cached ones, or those that `make` returns, on the CPU.

        Features that are larger than the whole cache are returned and not kept.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        made = make()
        made = replace(made, tokens=made.tokens.detach().cpu())
        if made.tokens.nbytes <= self.max_bytes:
            self._kept[key] = made
            while self.nbytes > self.max_bytes:
                self._kept.popitem(last=False)
        return made

    @property
    def nbytes(self) -> int:
        """Bytes that are kept now."""
        return sum(features.tokens.nbytes for features in self._kept.values())

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()


def file_key(path: str | Path) -> Hashable:
    """A key for the content of a file, without reading it: a changed file has another key."""
    path = Path(path).absolute()
    if not path.exists():  # the reader says so
        return str(path)
    status = path.stat()
    # the inode and its time of change: programs set the time of modification back
    times = status.st_mtime_ns, status.st_ctime_ns
    return (str(path), status.st_size, *times, status.st_ino)


def weights_key(module: nn.Module) -> Hashable:
    """A key for the weights of a module: a hash of its norms and biases, which training changes.

    Hashing all weights would take longer than encoding a short video on a GPU.
    """
    digest = blake2b(digest_size=16)
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        if tensor.ndim < 2:
            numbers = tensor.detach().cpu().contiguous().flatten()
            digest.update(numbers.view(torch.uint8).numpy().data)
    return digest.digest()
