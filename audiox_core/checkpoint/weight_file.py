"""Weights files: names, shapes and header first, tensors when asked for.

Nothing here runs code from a file: pickles are read with `weights_only=True` alone.
"""

import pickle
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import WeightsError

Shape = tuple[int, ...]
SAFETENSORS, PICKLES = (".safetensors", ".sft"), (".ckpt", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class WeightFile:
    """What a file holds, and how to read some of it."""

    path: Path
    shapes: Mapping[str, Shape]
    read: Callable[[Collection[str]], dict[str, Tensor]]  # names -> tensors, as stored
    header: Mapping[str, str] = field(default_factory=dict)


def open_weights(path: str | Path) -> WeightFile:
    """Look into a weights file.

    Raises:
        WeightsError: no such file, not a weights file, damaged, or a pickle with code in it.
    """
    path = Path(path)
    if path.is_dir():
        raise WeightsError(f"{path} is a folder: name the weights file in it.")
    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}: check the name and the folder.")
    suffix = path.suffix.lower()
    if suffix in SAFETENSORS:
        return _open_safetensors(path)
    if suffix in PICKLES:
        return _open_pickle(path)
    known = ", ".join((*SAFETENSORS, *PICKLES))
    raise WeightsError(f"{path.name} is no weights file that can be read: expected one of {known}.")


def _damaged(path: Path, reason: object) -> WeightsError:
    return WeightsError(
        f"{path.name} is damaged or was not downloaded to its end ({path.stat().st_size:,} bytes; "
        f"{str(reason)[:120]}): download it again."
    )


def _open_safetensors(path: Path) -> WeightFile:
    def read(names: Collection[str]) -> dict[str, Tensor]:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in names}

    try:
        with safe_open(path, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no mapping)
            return WeightFile(path, shapes, read, file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def _open_pickle(path: Path) -> WeightFile:
    try:
        content = _load_pickle(path)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path.name} holds more than weights, which could run code when it is read. It was "
            "not loaded: ask its maker for a .safetensors file."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not any(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path.name} holds no table of weights: choose a model's checkpoint.")
    state = {str(k): v for k, v in state.items() if isinstance(v, Tensor)}
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    return WeightFile(path, shapes, lambda names: {name: state[name] for name in names})


def _load_pickle(path: Path) -> Any:
    try:  # mapped: only what is used is read from disk
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap can only be used" not in str(error):
            raise
        return torch.load(path, map_location="cpu", weights_only=True)  # written before torch 1.6
