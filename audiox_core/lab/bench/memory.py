"""Peak memory of a call: on a CPU by the tensors themselves, on a GPU by its allocator.

What the system reports of a process moves by hundreds of megabytes with what the C library keeps
of freed memory; the bytes of the tensors that are alive are exact, equal in every run, and can be
counted on the meta device, too. Scratch inside of a kernel is not seen.
"""

import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of what is computed inside of the block and still alive.

    Tensors are watched, not storages (Python holds none of their own); views share a storage.
    """

    def __init__(self) -> None:
        super().__init__()
        self.owners: Counter[int] = Counter()  # tensors of a storage
        self.live = self.peak = 0  # bytes

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and watch what it made."""
        out = func(*args, **(kwargs or {}))
        given = [t for t in tree_iter((args, kwargs)) if isinstance(t, Tensor)]
        same, storages = {id(t) for t in given}, {_storage(t) for t in given}
        for tensor in tree_iter(out):
            if not isinstance(tensor, Tensor) or id(tensor) in same:
                continue  # in place
            if _storage(tensor) in self.owners or _storage(tensor) not in storages:
                self._watch(tensor)  # else a view of what was there before
        return out

    def _watch(self, tensor: Tensor) -> None:
        key, size = _storage(tensor), tensor.untyped_storage().nbytes()
        if key not in self.owners:
            self.live += size
            self.peak = max(self.peak, self.live)
        self.owners[key] += 1
        weakref.finalize(tensor, self._forget, key, size).atexit = False

    def _forget(self, key: int, size: int) -> None:
        self.owners[key] -= 1
        if not self.owners[key]:
            del self.owners[key]
            self.live -= size


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def peak_bytes(run: Callable[[], object], device: torch.device | str = "cpu") -> int:
    """The most bytes that `run` holds at a time, above what was there before; result included."""
    device = torch.device(device)
    if device.type != "cuda":
        with LiveBytes() as counter:
            run()
        return counter.peak
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before
