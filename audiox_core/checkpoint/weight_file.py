"""Weights files: names, shapes and header first, tensors when asked for.

Nothing here runs code from a file: pickles are only read with `weights_only=True`.
"""

import json
import pickle
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from hashlib import blake2b
from math import prod
from mmap import PAGESIZE
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from ..errors import WeightsError
from .file_check import LARGEST_HEADER, SAFETENSORS, check_weights_file, unreadable
from .quantized import MARKER, SETTINGS, Layer, dequantize, find_layers, settings_tensor
from .saved_names import TEXTS, Renamed, is_saved, rename

Shape = tuple[int, ...]
# where trainers put the weights in a checkpoint, and what they put before the names
CONTAINERS = ("state_dict", "model", "student", "student_state_dict")
WRAPPERS = ("module.", "student.model.", "student.", "model.")
FAMILY = ("model.model.transformer.", "maf_block.", "conditioner.")
DTYPES = {  # safetensors' names
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
    "BOOL": torch.bool,
}  # fmt: skip
if (E8M0 := getattr(torch, "float8_e8m0fnu", None)) is not None:  # scales of ComfyUI's mxfp8
    DTYPES["F8_E8M0"] = E8M0


@dataclass(frozen=True)
class Stored:
    """A tensor as it lies in a file."""

    shape: Shape
    dtype: torch.dtype
    offset: int | None = None  # bytes from the file's start; None: known only to torch
    packed: bool = False  # of a quantized layer: only of use as it is

    @property
    def elements(self) -> int:
        """How many numbers."""
        return prod(self.shape)

    @property
    def is_matrix(self) -> bool:
        """Whether at least two of its axes are longer than 1."""
        return sum(size > 1 for size in self.shape) > 1

    @property
    def nbytes(self) -> int:
        """Bytes that the numbers take."""
        return self.elements * self.dtype.itemsize


@dataclass(frozen=True)
class WeightFile:
    """What a file holds, and how to read some of it."""

    path: Path
    tensors: Mapping[str, Stored]
    header: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)  # beside the weights: name -> what
    kind: str = "safetensors"
    loaded: Mapping[str, Tensor] = field(default_factory=dict, repr=False)  # of a pickle
    names: Mapping[str, str] = field(default_factory=dict, repr=False)  # name -> in the file
    computed: Mapping[str, Callable[[], Tensor]] = field(default_factory=dict, repr=False)
    layers: Mapping[str, Layer] = field(default_factory=dict, repr=False)  # quantized, by weight
    packed: "WeightFile | None" = field(default=None, repr=False)  # with those as they are stored

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Name -> shape, of all tensors."""
        return {name: stored.shape for name, stored in self.tensors.items()}

    def read(self, names: Collection[str]) -> dict[str, Tensor]:
        """Tensors as stored, mapped where the format allows: used pages count as memory."""
        if self.kind != "safetensors":
            return {name: self.loaded[name] for name in names}
        with reading(self.path), safe_open(self.path, framework="pt") as file:
            return {
                name: self.computed[name]()
                if name in self.computed
                else file.get_tensor(self.names.get(name, name))
                for name in names
            }

    def copy(self, name: str) -> Tensor:
        """A tensor as stored, in memory of its own; the file's pages are not held beside it."""
        stored = self.tensors[name]
        with reading(self.path):
            if name in self.computed:
                return self.computed[name]()
            if not stored.elements:
                return torch.empty(stored.shape, dtype=stored.dtype)
            if stored.offset is None:
                return self.loaded[name].clone(memory_format=torch.contiguous_format)
            raw = np.fromfile(self.path, np.uint8, stored.nbytes, offset=stored.offset)
            if len(raw) < stored.nbytes:
                raise EOFError("it became shorter while it was read")
            return torch.from_numpy(raw).view(stored.dtype).view(stored.shape)

    def fingerprint(self) -> str:
        """A checksum of all names and weights; the header does not count."""
        digest = blake2b(digest_size=8)
        for name, stored in sorted(self.tensors.items()):
            digest.update(repr((name, stored.shape, stored.dtype)).encode())
            digest.update(self.copy(name).flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def below(self, prefix: str) -> list[str]:
        """Names that begin with `prefix`."""
        return [name for name in self.tensors if name.startswith(prefix)]


def differing(file: WeightFile, prefix: str, other: WeightFile, other_prefix: str) -> list[str]:
    """Names below two prefixes of which not both have the same tensor, bit for bit."""
    names, others = (
        {name.removeprefix(p) for name in f.below(p)}
        for f, p in ((file, prefix), (other, other_prefix))
    )
    unequal = (n for n in names & others if not _same(file, prefix + n, other, other_prefix + n))
    return sorted({*(names ^ others), *unequal})


def _same(file: WeightFile, name: str, other: WeightFile, other_name: str) -> bool:
    """Whether two tensors are equal in shape, dtype and every bit."""
    one, two = file.tensors[name], other.tensors[other_name]
    if (one.shape, one.dtype) != (two.shape, two.dtype):
        return False
    if file.path == other.path and one.offset is not None and one.offset == two.offset:
        return True
    first, second = (f.copy(n).flatten() for f, n in ((file, name), (other, other_name)))
    return torch.equal(first.view(torch.uint8), second.view(torch.uint8))


def open_weights(path: str | Path) -> WeightFile:
    """Open a weights file: names, shapes and header, no numbers.

    Raises:
        WeightsError: no such file, not a weights file, damaged, or a pickle with code in it.
    """
    path = Path(path)
    suffix = check_weights_file(path)
    if suffix in SAFETENSORS:
        return _open_safetensors(path)
    return _open_pickle(path)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what a library raises while it reads a weights file into a WeightsError."""
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its bytes lead to
        raise unreadable(path, error) from error


def _open_safetensors(path: Path) -> WeightFile:
    with reading(path):
        with path.open("rb") as raw:
            length = int.from_bytes(raw.read(8), "little")
            if length > LARGEST_HEADER:
                raise ValueError(f"its header claims to have {length:,} bytes")
            text = raw.read(length)
        with safe_open(path, framework="pt") as file:  # checks the header against the length
            header = file.metadata() or {}
        entries = json.loads(text)
    entries.pop("__metadata__", None)
    if strange := {e["dtype"] for e in entries.values()} - DTYPES.keys():
        raise WeightsError(
            f"{path.name} stores weights as {min(strange)}, which is not supported: use or convert "
            "the original file."
        )
    stored = {
        name: Stored(
            tuple(entry["shape"]), DTYPES[entry["dtype"]], 8 + length + entry["data_offsets"][0]
        )
        for name, entry in entries.items()
    }
    if is_saved(entries):
        header |= {key: _text(path, stored[n]) for n, key in TEXTS.items() if n in stored}
        renamed = rename(entries)
    else:
        wrapper = wrapper_of(entries)
        renamed = Renamed({name.removeprefix(wrapper): name for name in entries})
    tensors = {name: stored[theirs] for name, theirs in renamed.names.items()}
    return _unpacked(WeightFile(path, tensors, header, renamed.others, names=renamed.names))


def _text(path: Path, stored: Stored) -> str:
    """A text that is stored as a tensor of bytes."""
    with reading(path):
        short = stored.dtype == torch.uint8 and stored.nbytes <= LARGEST_HEADER
        if not short or stored.offset is None:
            raise ValueError("its config is not a short text")
        return np.fromfile(path, np.uint8, stored.nbytes, offset=stored.offset).tobytes().decode()


def _unpacked(file: WeightFile) -> WeightFile:
    """The file with plain numbers in place of quantized layers; they stay in `packed`."""
    with reading(file.path):
        layers = find_layers(file.tensors, file.header, file.names, file.copy)
    if not layers:
        return file
    pieces = {piece for layer in layers.values() for piece in layer.pieces.values()}
    plain = {
        name: stored
        for name, stored in file.tensors.items()
        if name not in pieces and not name.endswith((MARKER, SETTINGS))
    }
    packed, made, computed = dict(plain), {}, {}
    for weight, layer in layers.items():
        stem, stored = weight.removesuffix("weight"), file.tensors[weight]
        plain[weight] = Stored(layer.shape(stored.shape), torch.float32)
        computed[weight] = partial(_dequantized, file, weight, layer)
        for piece, name in layer.pieces.items():
            packed[stem + piece] = replace(file.tensors[name], packed=True)
            made[stem + piece] = partial(file.copy, name)
        packed[weight] = replace(stored, packed=True)
        settings = settings_tensor(layer.settings)
        packed[stem + SETTINGS] = Stored(tuple(settings.shape), torch.uint8, packed=True)
        made[stem + SETTINGS] = partial(torch.clone, settings)
    whole = replace(file, tensors=packed, computed=made, layers=layers)
    return replace(file, tensors=plain, computed=computed, layers=layers, packed=whole)


def _dequantized(file: WeightFile, weight: str, layer: Layer) -> Tensor:
    if layer.needs_host:
        raise WeightsError(
            f"{file.path.name} stores '{weight}' as {layer.format}, which only ComfyUI 0.33 or "
            "newer can read. Use the released file, or one that `convert` wrote "
            "(--dtype float8_scaled is the smallest)."
        )
    return dequantize(file.copy(weight), file.copy(layer.pieces["weight_scale"]))


def _open_pickle(path: Path) -> WeightFile:
    with path.open("rb") as file:
        head = file.read(2)
    mapped = head == b"PK"  # an archive, of which only what is used is read; else a bare pickle
    if not mapped and head[:1] != b"\x80":
        raise unreadable(path, "it is not a checkpoint file")
    with reading(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about how the pickle was written
        records = _records(path) if mapped else {}
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except pickle.UnpicklingError as error:
            raise WeightsError(
                f"{path.name} holds more than weights{_unsafe(error)}, which could run code when "
                "it is loaded. It was not loaded: use a .safetensors file."
            ) from error
    container, state = _state(content)
    if not state:
        raise WeightsError(f"{path.name} contains no weights: choose the checkpoint of a model.")
    others = {} if container is None else {k: v for k, v in content.items() if k != container}
    others |= {k: v for k, v in state.items() if not isinstance(v, Tensor)}
    state = {str(k): v.detach() for k, v in state.items() if isinstance(v, Tensor)}
    wrapper = wrapper_of(state)
    state = {name.removeprefix(wrapper): tensor for name, tensor in state.items()}
    for name, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
            kind = "sparse" if "sparse" in str(tensor.layout) else "quantized or nested"
            raise WeightsError(f"{path.name} has a {kind} tensor '{name}', which is not supported.")
        if tensor.is_meta or tensor.nbytes > tensor.untyped_storage().nbytes():
            raise unreadable(path, f"'{name}' has more numbers than the file")
    offsets = _offsets(records, state) if mapped else {}
    tensors = {n: Stored(tuple(t.shape), t.dtype, offsets.get(n)) for n, t in state.items()}
    kind = "pickle, memory-mapped" if mapped else "legacy pickle, loaded completely"
    return WeightFile(path, tensors, {}, {str(k): _what(v) for k, v in others.items()}, kind, state)


def _state(content: Any) -> tuple[str | None, dict]:
    """The table of weights in what a pickle holds, and the entry that it stands under."""
    if not isinstance(content, dict):
        return None, {}
    for container in (*CONTAINERS, None):
        state = content if container is None else content.get(container)
        if isinstance(state, dict) and any(isinstance(v, Tensor) for v in state.values()):
            return container, state
    return None, {}


def wrapper_of(names: Collection[str]) -> str:
    """What a trainer put before the names of a model of the family; mostly nothing."""
    for wrapper in ("", *WRAPPERS):
        if any(name.startswith(tuple(wrapper + known for known in FAMILY)) for name in names):
            return wrapper
    return ""


def _unsafe(error: Exception) -> str:
    """The name of what a pickle would run, from torch's message."""
    match = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f" ({match[1]})" if match else ""


def _what(value: Any) -> str:
    """A few words about an entry: its value if that is short, else its kind and size."""
    if isinstance(value, (bool, int, float, str)) or value is None:
        return repr(value)[:60]
    size = (
        f" of {len(value)}" if hasattr(value, "__len__") and not isinstance(value, Tensor) else ""
    )
    return type(value).__name__ + size


def _offsets(records: Mapping[int, int], state: Mapping[str, Tensor]) -> dict[str, int]:
    """Where mapped tensors lie in their file, so that they can be read past the map.

    torch maps the file in one piece, from the start of a page, and does not say where. The records
    of the archive tell: the storages must all fall upon records of their size. Where no place or
    more than one fits (a file may hold the same model twice), nothing is claimed.
    """
    storages = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in state.values()
    }
    first = min(storages)
    bases = [
        first - record
        for record in records
        if (first - record) % PAGESIZE == 0
        and all(records.get(p - first + record) == size for p, size in storages.items())
    ]
    if len(bases) != 1:
        return {}
    return {n: t.data_ptr() - bases[0] for n, t in state.items() if t.is_contiguous()}


def _records(path: Path) -> dict[int, int]:
    """Offset -> bytes of the tensor records of a torch archive.

    Raises:
        ValueError: some are compressed, which torch never does: a few bytes could fill the memory.
    """
    records = {}
    with ZipFile(path) as archive, path.open("rb") as file:
        for info in archive.infolist():
            if info.compress_type != ZIP_STORED:
                raise ValueError("its archive is compressed")
            if "/data/" in info.filename:
                file.seek(info.header_offset + 26)  # the lengths of name and extra field
                name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
                records[info.header_offset + 30 + name + extra] = info.file_size
    return records
