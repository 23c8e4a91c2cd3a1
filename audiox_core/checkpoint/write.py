"""Writing a safetensors file tensor by tensor, whole or not at all.

The format: eight bytes with the header's length, the header as JSON, then the tensors without
gaps in the header's order (huggingface.co/docs/safetensors). safetensors' own writer wants all
tensors in memory at once.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from ..errors import WeightsError
from ..locks import locked
from .weight_file import DTYPES, Stored

ALIGNMENT = 64  # bytes: where the first tensor begins
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def write_safetensors(
    path: Path,
    tensors: Mapping[str, Stored],
    read: Callable[[str], Tensor],
    metadata: Mapping[str, str],
    on_tensor: Callable[[Stored], object] | None = None,
) -> None:
    """Write a file with one tensor at a time in memory.

    Nothing is at `path` until everything is on the disk; what a killed run left is removed
    by the next one.

    Args:
        path: of the file; its folder must exist.
        tensors: names, shapes and dtypes, in any order.
        read: a tensor by name, of that shape and dtype.
        metadata: of the header.
        on_tensor: called with each tensor that was written.

    Raises:
        WeightsError: no room, no permission, or another run writes the same file.
    """
    # the widest numbers first, so that all begin where their width divides the offset
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header = _header({name: tensors[name] for name in order}, metadata)
    with _replacing(path, len(header) + sum(t.nbytes for t in tensors.values())) as file:
        file.write(header)
        for name in order:
            _write(file, name, read(name), tensors[name])
            if on_tensor is not None:
                on_tensor(tensors[name])


def _write(file: BinaryIO, name: str, tensor: Tensor, expected: Stored) -> None:
    assert (tuple(tensor.shape), tensor.dtype) == (expected.shape, expected.dtype), name
    file.write(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)


def _header(tensors: Mapping[str, Stored], metadata: Mapping[str, str]) -> bytes:
    entries: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    offset = 0
    for name, stored in tensors.items():
        end = offset + stored.nbytes
        entries[name] = {
            "dtype": NAMES[stored.dtype],
            "shape": list(stored.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


@contextmanager
def _replacing(path: Path, size: int) -> Iterator[BinaryIO]:
    """A file beside `path` to write into, which takes its place when the block succeeds."""
    check_target(path)
    temporary = path.with_name(f".{path.name}.part")
    busy = WeightsError(f"Another process is writing {path}: wait until it has finished.")
    try:
        with locked(path, busy):
            try:
                temporary.unlink(missing_ok=True)  # of a killed run
                _check_room(path, size)
                with temporary.open("xb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be written ({error.strerror or error}): free some space, check "
            "the permissions, or choose another folder."
        ) from error


def check_target(path: Path) -> None:
    """Raise WeightsError where no safetensors file can be made at `path`."""
    if path.suffix != ".safetensors":
        raise WeightsError(f"{path} has an unsupported suffix: use .safetensors.")
    if path.is_dir():
        raise WeightsError(f"{path} is a folder: choose the name of a file to write.")
    if not path.parent.is_dir():
        raise WeightsError(
            f"The folder {path.parent} does not exist: create it, or choose another folder."
        )


def _check_room(path: Path, size: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise WeightsError(
            f"{path.name} needs {size / 1e9:.2f} GB, but {path.parent.absolute()} has "
            f"{free / 1e9:.2f} GB free: free some space, or choose another folder."
        )
