"""Weights files with random damage, and what the pack does with each of them."""

import json
import pickle
import random
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from audiox_core import Checkpoint, Pipeline, Request, load_checkpoint, open_checkpoint
from audiox_core.checkpoint.checkpoint_file import EMBEDDED
from audiox_core.checkpoint.convert import convert
from audiox_core.checkpoint.inspect import inspect
from audiox_core.checkpoint.lora import merge_lora
from audiox_core.checkpoint.part_files import open_vae, text_encoder_in
from audiox_core.checkpoint.weight_file import Stored, open_weights
from audiox_core.checkpoint.write import write_safetensors
from audiox_core.cli.inspect import as_text

from . import isolated
from .steps import step, unclean

PREFIX = "model.model."
QUICK = Request(prompt="rain", seconds=0.5, steps=1)
ODD: list[Any] = [
    0, -1, 1, 3, 1e30, -0.5, float("nan"), float("inf"), 10**400, 2**31, 2**63, "x", "", None, True,
    [], {}, [1], "\x1b[31m", "\ud800", [[[]]], 7.5,
]  # fmt: skip
DTYPES = [
    "uint8", "int8", "bool", "int64", "float64", "float16", "bfloat16", "complex64", "float8_e5m2",
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e8m0fnu", "uint16",
]  # fmt: skip
SAFETENSORS_DTYPES = ["F32", "F64", "I8", "BOOL", "C64", "F8_E4M3", "F4", "F8_E8M0", "U64", "X", ""]


class _Run:
    """What a pickle would run if it could."""

    def __reduce__(self) -> tuple:
        return (print, ("a mutant was run",))


def mutants(
    count: int, seed: int, folder: Path, first: int = 0, source: Path = EMBEDDED
) -> Iterator[Path]:
    """Make damaged files; number k depends on the seed and on k alone.

    Args:
        count: of the files.
        seed: of all of them.
        folder: to write into.
        first: number of the first one.
        source: a whole model with its config in the header.

    Yields:
        Paths such as `00007-header.safetensors`; each file is made when it is asked for.
    """
    state, metadata = _content(source)
    for index in range(first, first + count):
        draw = random.Random(f"{seed}:{index}")
        name, mutate = draw.choice(MUTATIONS)
        tensors = dict(state if draw.random() < 0.8 else _part(state, draw) or state)
        yield mutate(draw, tensors, dict(metadata), folder / f"{index:05d}-{name}")


@cache
def _content(source: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with source.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return load_file(source), header["__metadata__"]


def _part(state: dict[str, Tensor], draw: random.Random) -> dict[str, Tensor]:
    """A LoRA, a VAE alone, a text encoder alone, or a model without its text encoder."""
    kind = draw.randrange(4)
    if kind == 0:
        return _lora(state, draw)
    prefix = ("pretransform.model.", "text_encoder.")[kind % 2]
    if kind == 3:
        return {name: t for name, t in state.items() if not name.startswith(prefix)}
    return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}


def _lora(state: dict[str, Tensor], draw: random.Random) -> dict[str, Tensor]:
    layers = [n for n, t in state.items() if n.startswith(f"{PREFIX}transformer.") and t.ndim == 2]
    tensors = {}
    for name in draw.sample(layers, 3):
        layer = "diffusion_model." + name.removeprefix(PREFIX).removesuffix(".weight")
        out, width = state[name].shape
        rank = draw.choice([1, 2, 4])
        tensors[f"{layer}.lora_up.weight"] = torch.ones(out, rank)
        tensors[f"{layer}.lora_down.weight"] = torch.ones(rank, width)
        tensors[f"{layer}.alpha"] = torch.tensor(1.0)
    return tensors


State = dict[str, Tensor]
Mutation = Callable[[random.Random, State, dict[str, str], Path], Path]


def _write(state: State, metadata: dict[str, str], path: Path, draw: random.Random) -> Path:
    """As safetensors or as a pickle, of the new or of the old kind."""
    kind = draw.choice([".safetensors", ".ckpt", ".pt"])
    path = path.with_name(path.name + kind)
    try:
        if kind == ".safetensors":
            _save(state, path, metadata)
            return path
    except Exception:  # a dtype that safetensors does not know
        path = path.with_suffix(".ckpt")
    content = draw.choice([{"state_dict": state}, state, {"model": state, "step": 3}])
    torch.save(content, path, _use_new_zipfile_serialization=kind != ".pt")
    return path


def _change_bytes(draw: random.Random, state: State, metadata: dict[str, str], path: Path) -> Path:
    path = _write(state, metadata, path, draw)
    data = bytearray(path.read_bytes())
    head = draw.choice([64, 4096, 100_000, len(data)])  # most structure is in front
    for _ in range(draw.choice([1, 2, 8, 64, 1000])):
        at = draw.randrange(min(head, len(data)))
        at = at if draw.random() < 0.7 else len(data) - 1 - at  # or at the end, as in archives
        data[at] = draw.choice([draw.randrange(256), 0, 255, data[at] ^ (1 << draw.randrange(8))])
    path.write_bytes(data)
    return path


def _cut(draw: random.Random, state: State, metadata: dict[str, str], path: Path) -> Path:
    path = _write(state, metadata, path, draw)
    data = path.read_bytes()
    at, length = draw.randrange(len(data)), draw.randrange(1, 1 << draw.randrange(1, 22))
    pieces = [
        data[:at],  # a download that broke off
        data[:at] + data[at + length :],
        data[:at] + draw.randbytes(length) + data[at:],
        data[:at] + bytes(length) + data[at + length :],
        data + draw.randbytes(length),
        data[: draw.randrange(20)],
    ]
    path.write_bytes(draw.choice(pieces))
    return path


def _save(state: State, path: Path, metadata: dict[str, str]) -> None:
    """As safetensors; the library's own writer sorts nothing, so that no two files are equal."""
    stored = {name: Stored(tuple(t.shape), t.dtype) for name, t in state.items()}
    write_safetensors(path, stored, state.__getitem__, metadata)


def _split(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _join(path: Path, header: Any, body: bytes, length: int | None = None) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def _change_header(draw: random.Random, state: State, metadata: dict[str, str], path: Path) -> Path:
    path = path.with_name(path.name + ".safetensors")
    _save(state, path, metadata)
    header, body = _split(path)
    length = None
    for _ in range(draw.choice([1, 1, 1, 3])):
        name = draw.choice([n for n in header if n != "__metadata__"])
        entry, action = header[name], draw.randrange(9)
        if action == 0:
            entry["dtype"] = draw.choice(SAFETENSORS_DTYPES)
        elif action == 1:
            entry["shape"] = draw.choice(
                [[], [0], entry["shape"][::-1], [*entry["shape"], 1], [2**62, 4], draw.choice(ODD)]
            )
        elif action == 2:
            shift = draw.choice([-1, 1, 4, 64, 2**40, -(2**40)])
            entry["data_offsets"] = [at + shift for at in entry["data_offsets"]]
        elif action == 3:
            entry[draw.choice([*entry])] = draw.choice(ODD)
        elif action == 4:
            header[draw.choice(["x", "", "a" * 10_000, name + ".lora_up.weight"])] = header.pop(
                name
            )
        elif action == 5:
            header["__metadata__"] = draw.choice([None, {"a": 1}, [], "x", {"audiox": {}}])
        elif action == 6:
            length = draw.choice([0, 1, 2**62, 2**64 - 1, 10**9, len(body)])
        elif action == 7:
            header[name + "x"] = dict(entry)
        else:
            del header[name]
            break
    return _join(path, header, body, length)


def _change_config(draw: random.Random, state: State, metadata: dict[str, str], path: Path) -> Path:
    config = json.loads(metadata["audiox"])
    places = [(config, key) for key in config]
    places += [
        (inner, key) for inner in config.values() if isinstance(inner, dict) for key in inner
    ]
    clip = config["video"]["clip"]
    places += [(clip, key) for key in clip]
    for _ in range(draw.choice([1, 1, 2, 5])):
        table, key = draw.choice(places)
        action = draw.randrange(4)
        if action == 0:
            table.pop(key, None)
        elif action == 1:
            table[draw.choice(["x", "depth", "width"])] = draw.choice(ODD)
        elif action == 2 and isinstance(table.get(key), int):
            table[key] = table[key] * draw.choice([-1, 2, 3, 10, 1000, 10**6]) + draw.choice([0, 1])
        else:
            table[key] = draw.choice(ODD)
    text = json.dumps(config)
    if draw.random() < 0.15:
        text = draw.choice([text[: draw.randrange(len(text))], "[" * 50_000, "null", "[]", "1e999"])
    if draw.random() < 0.15:
        metadata["tokenizer"] = draw.choice(
            ["", "{}", metadata.get("tokenizer", "")[:-9], "[" * 9999]
        )
    metadata["audiox"] = text
    path = path.with_name(path.name + ".safetensors")
    _save(state, path, metadata)
    return path


def _change_tensors(
    draw: random.Random, state: State, metadata: dict[str, str], path: Path
) -> Path:
    for _ in range(draw.choice([1, 1, 2, 20])):
        name = draw.choice([*state])
        draw.choice([_other_numbers, _other_numbers, _other_names])(draw, state, name)
        if not state:
            state["x"] = torch.zeros(2)
    if any(t.numel() > 10**8 for t in state.values()):  # only a pickle says so in few bytes
        path = path.with_name(path.name + ".ckpt")
        torch.save({"state_dict": state}, path)
        return path
    return _write(state, metadata, path, draw)


def _other_numbers(draw: random.Random, state: State, name: str) -> None:
    """Another dtype, values that are not finite, another shape."""
    tensor = state[name]
    number = tensor.float().clone()
    number.view(-1)[:1] = draw.choice([torch.nan, torch.inf, -torch.inf, 3e38])
    shapes = [
        tensor[None], tensor.flatten(), tensor.flatten()[:1], torch.stack([tensor] * 2),
        tensor.flatten()[:0], tensor.mT if tensor.ndim > 1 else tensor.clone()[None, None],
        torch.zeros(1).expand(draw.choice([10**6, 10**12]), *tensor.shape[1:]), torch.tensor(1.0),
    ]  # fmt: skip
    dtype = getattr(torch, draw.choice(DTYPES), torch.int16)
    state[name] = draw.choice([number, draw.choice(shapes), tensor.float().to(dtype)])


def _other_names(draw: random.Random, state: State, name: str) -> None:
    """A tensor that is gone, there twice, exchanged, or of a layer that no model has."""
    tensor, other, action = state[name], draw.choice([*state]), draw.randrange(5)
    if action == 0:
        del state[name]
    elif action == 1:
        state[draw.choice(["", "x", "model." + name, name.upper(), name + "\x1b[0m"])] = tensor
    elif action == 2:
        state[name], state[other] = state[other], tensor
    elif action == 3:
        number = draw.choice(["7", "99999999999", "-1", "x"])
        state[f"{PREFIX}transformer.layers.{number}.ff_norm.gamma"] = tensor
    else:
        prefix = name.partition(".")[0]
        for gone in [n for n in state if n.startswith(prefix)]:
            del state[gone]


def _change_archive(
    draw: random.Random, state: State, metadata: dict[str, str], path: Path
) -> Path:
    """The archive of a `.ckpt`: records that are gone, changed, packed or there twice."""
    whole = path.with_name(path.name + ".whole")
    torch.save({"state_dict": state}, whole)
    path = path.with_name(path.name + ".ckpt")
    action = draw.randrange(7)
    method = zipfile.ZIP_DEFLATED if action == 0 else zipfile.ZIP_STORED
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w", method) as new:
        names = old.namelist()
        chosen = draw.choice(
            names if draw.random() < 0.5 else [n for n in names if "/data/" not in n]
        )
        for name in names:
            data = old.read(name)
            if name == chosen and action == 1:
                continue
            if name == chosen and action == 2:
                data = draw.choice(
                    [b"", data[: len(data) // 2], draw.randbytes(len(data)), data * 2]
                )
            if name == chosen and action == 3:
                data = bytearray(data)
                for _ in range(draw.choice([1, 3, 9])):
                    data[draw.randrange(len(data))] = draw.randrange(256)
            stored = "x/" + name if name == chosen and action == 4 else name
            new.writestr(zipfile.ZipInfo(stored), bytes(data), method)  # without the time of day
        if action == 5:
            new.writestr(zipfile.ZipInfo("archive/data.pkl"), pickle.dumps({"a": 1}, 2))
        if action == 6:
            new.writestr(zipfile.ZipInfo("archive/data/99999"), bytes(1000))
    whole.unlink()
    return path


def _odd_pickle(draw: random.Random, state: State, metadata: dict[str, str], path: Path) -> Path:
    loop: list[Any] = []
    loop.append(loop)
    deep: Any = 1
    for _ in range(draw.choice([3, 900])):
        deep = [deep]
    name = draw.choice([*state])
    values = [
        _Run(), {1, 2}, b"x" * 1000, np.arange(3), np.float64(2), datetime(2020, 1, 1), print, len,
        torch.nn.Linear(2, 2), None, loop, deep, OrderedDict(state), [state], (1, {"a": state}),
        torch.device("meta"), torch.float16, torch.zeros(2, device="meta"), torch.Size([3]),
        1 << 70, "\ud800", torch.eye(3).to_sparse(), torch.zeros(3).requires_grad_(), slice(1), 2j,
        torch.nn.Parameter(torch.zeros(2)), {}, [], "", {"state_dict": {"state_dict": state}},
        torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8),
    ]  # fmt: skip
    value = draw.choice(values)
    contents = [
        value, {"state_dict": value}, {"state_dict": {**state, name: value}},
        {**state, name: value}, {"state_dict": state, "x": value}, {**state, 3: value},
        {(1, 2): value, **state}, [value],
    ]  # fmt: skip
    content = draw.choice(contents)
    path = path.with_name(path.name + draw.choice([".ckpt", ".pt", ".pth", ".bin"]))
    try:
        if draw.random() < 0.3:
            path.write_bytes(pickle.dumps(content, draw.choice([0, 1, 2, 3, 4, 5])))
        else:
            legacy = draw.random() < 0.3
            torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    except Exception:  # some cannot be pickled: then a text under the name of weights
        path.write_text("<html>404</html>")
    return path


MUTATIONS: list[tuple[str, Mutation]] = [
    ("bytes", _change_bytes),
    ("cut", _cut),
    ("header", _change_header),
    ("config", _change_config),
    ("tensors", _change_tensors),
    ("archive", _change_archive),
    ("pickle", _odd_pickle),
]


def check(path: Path) -> str | None:
    """The faults of one file, examined in a process of its own; None if there are none."""
    return isolated.check("weights", path)


@cache
def _embedded() -> Checkpoint:
    return load_checkpoint(device="cpu")


inspect(EMBEDDED)  # torch makes a folder for its compiler with the first module on `meta`


def examine(path: Path) -> list[str]:
    """Do all that the pack does with a weights file; returns the faults."""
    faults: list[str] = []
    for name, action in ACTIONS.items():
        with step(name, faults):
            action(path)
    output = path.with_name("converted.safetensors")
    with step("convert", faults):
        convert([path], output, dtype=torch.float16)
    output.unlink(missing_ok=True)
    return faults


def _inspect(path: Path) -> None:
    report = inspect(path, deep=True)
    json.dumps(report.to_dict())
    as_text(report).encode()
    assert not unclean(report.note or ""), report.note


ACTIONS: dict[str, Callable[[Path], object]] = {
    "inspect": _inspect,
    "load and generate": lambda path: Pipeline(open_checkpoint(path).load()).generate(QUICK),
    "load parts": lambda path: open_checkpoint(path).load_conditioners(),
    "load the VAE": lambda path: open_vae(path).load(),
    "load the text encoder": lambda path: text_encoder_in(
        open_weights(path), _embedded().config
    ).load(128),
    "add the LoRA": lambda path: merge_lora(_embedded().backbone, path),
}
