"""Features that were computed once: another prompt or seed need not look at the video again.

A cache is made and handed in by whoever wants one, and lives as long as they keep it.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from hashlib import blake2b
from pathlib import Path

import torch
from torch import Tensor, nn

MEGABYTE = 1 << 20


class FeatureCache:
    """Tensors under keys that name their content; what was not used for longest goes first."""

    def __init__(self, max_bytes: int = 64 * MEGABYTE) -> None:
        """`max_bytes`: of all features together; a window's take 0.4 MB. 0 keeps nothing."""
        self.max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, Tensor] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """The features of a key: kept ones, or those that `make` makes, on the CPU.

        Larger ones than the whole cache are handed on and not kept.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        made = make().detach().cpu()
        if made.nbytes <= self.max_bytes:
            self._kept[key] = made
            while self.nbytes > self.max_bytes:
                self._kept.popitem(last=False)
        return made

    @property
    def nbytes(self) -> int:
        """Bytes that are kept now."""
        return sum(tensor.nbytes for tensor in self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()


def content_key(source: str | Path | Tensor) -> Hashable:
    """What stands for the content of a file, without reading it, or of a tensor.

    A file that was changed, or another one of its name, has another key.

    Raises:
        OSError: there is no such file.
    """
    if isinstance(source, Tensor):
        digest = blake2b(_bytes(source), digest_size=16).digest()
        return (tuple(source.shape), str(source.dtype), digest)
    path = Path(source).absolute()
    status = path.stat()
    # the inode and its time of change: programs set the time of modification back
    times = status.st_mtime_ns, status.st_ctime_ns
    return (str(path), status.st_size, *times, status.st_ino)


def weights_key(module: nn.Module) -> Hashable:
    """What stands for a module's weights: its norms and biases, which any training changes.

    Of all weights it would take longer than to encode a short video on a GPU.
    """
    digest = blake2b(digest_size=16)
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        if tensor.ndim < 2:
            digest.update(_bytes(tensor))
    return digest.digest()


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
