"""Weights files: names and shapes first; a file that cannot be read is one line."""

import errno
import pickle
import subprocess
import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from audiox_core.checkpoint import weight_file
from audiox_core.checkpoint.weight_file import differing, open_weights
from audiox_core.errors import WeightsError

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(4, dtype=torch.float16)}


@pytest.fixture(params=["safetensors", "ckpt", "flat.pth", "legacy.pt"])
def weights(request, tmp_path):
    path = tmp_path / f"model.{request.param}"
    if path.suffix == ".safetensors":
        save_file(STATE, path, metadata={"audiox": "hello"})
    elif request.param == "ckpt":
        torch.save({"state_dict": STATE, "epoch": 3}, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=request.param != "legacy.pt")
    return path


def test_names_and_shapes_are_known_and_tensors_read_by_name(weights):
    file = open_weights(weights)
    assert file.shapes == {"a.weight": (2, 3), "b": (4,)}
    (tensor,) = file.read(["a.weight"]).values()
    assert torch.equal(tensor, STATE["a.weight"])


def test_a_header_is_read_where_there_is_one(weights):
    expected = {"audiox": "hello"} if weights.suffix == ".safetensors" else {}
    assert dict(open_weights(weights).header) == expected


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(weights, part):
    data = weights.read_bytes()
    weights.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(WeightsError, match=r"(damaged|contains no weights|more than weights)"):
        open_weights(weights)


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_not_run(tmp_path, legacy):
    path, target = tmp_path / "model.ckpt", tmp_path / "ran"
    torch.save({"state_dict": {"x": Bomb(target)}}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match="could run code"):
        open_weights(path)
    assert not target.exists()


def test_a_bare_pickle_with_code_is_not_run(tmp_path):
    path, target = tmp_path / "model.pt", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Bomb(target)))
    with pytest.raises(WeightsError, match=r"model\.pt"):
        open_weights(path)
    assert not target.exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: None, "no weights file"),
    ],
)
def test_paths_that_are_not_files_are_refused(tmp_path, make, message):
    path = tmp_path / "model.safetensors"
    make(path)
    with pytest.raises(WeightsError, match=message):
        open_weights(path)


def test_a_table_without_tensors_is_refused(tmp_path):
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": {"a": 1}}, path)
    with pytest.raises(WeightsError, match="contains no weights"):
        open_weights(path)


def test_sparse_tensors_are_refused(tmp_path):
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": {"a": torch.eye(3).to_sparse()}}, path)
    with pytest.raises(WeightsError, match="sparse tensor 'a'"):
        open_weights(path)


@pytest.mark.parametrize("elements", [64, 1024])  # of which 1024 float32 are a page
@pytest.mark.parametrize("order", [("ema", "state_dict"), ("state_dict", "ema")])
def test_a_second_copy_of_the_model_in_a_file_is_not_taken_for_it(tmp_path, order, elements):
    def weights(entry):
        start = 10.0 * order.index(entry)
        return {f"w{i}": torch.full((elements,), start + i) for i in range(3)}

    torch.save({entry: weights(entry) for entry in order}, tmp_path / "model.ckpt")
    file = open_weights(tmp_path / "model.ckpt")
    for name, expected in weights("state_dict").items():
        assert torch.equal(file.copy(name), expected)
        assert torch.equal(file.read([name])[name], expected)


def test_an_archive_that_was_compressed_is_not_unpacked(tmp_path):
    """A pickle of zeros would take 300 MB of memory, and takes 300 kB in the file."""
    path = tmp_path / "model.ckpt"
    with ZipFile(path, "w", ZIP_DEFLATED) as archive, archive.open("x/data.pkl", "w") as record:
        for _ in range(300):
            record.write(bytes(1_000_000))
    with pytest.raises(WeightsError, match=r"damaged or incomplete \(.*its archive is compressed"):
        open_weights(path)


def test_a_header_that_would_fill_the_memory_is_not_read(tmp_path):
    length = weight_file.LARGEST_HEADER + 1
    (tmp_path / "a.safetensors").write_bytes(length.to_bytes(8, "little") + b"{}" + b" " * length)
    with pytest.raises(WeightsError, match="its header claims to have 33,554,433 bytes"):
        open_weights(tmp_path / "a.safetensors")


def test_parts_differ_in_every_name_and_bit_that_not_both_have(tmp_path):
    def save(name, **tensors):
        save_file({n.replace("_", "."): t for n, t in tensors.items()}, tmp_path / name)
        return open_weights(tmp_path / name)

    zero, one = torch.zeros(2), torch.ones(2)
    file = save("file.sft", a_x=zero, a_y=one, b_x=zero.clone(), b_y=one.clone(), z=one.clone())
    assert differing(file, "a.", file, "a.") == differing(file, "a.", file, "b.") == []
    changed = save("changed.sft", x=-zero, y=one)  # a negative zero
    assert differing(file, "a.", changed, "") == ["x"]
    less, narrow = save("less.sft", y=one), save("narrow.sft", x=zero, y=one.half())
    assert differing(file, "a.", less, "") == differing(less, "", file, "a.") == ["x"]
    assert differing(file, "a.", narrow, "") == ["y"]


NO_MEMORY = [
    MemoryError("Unable to allocate 3.4 GiB"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError(errno.EAGAIN, "Resource temporarily unavailable"),
    RuntimeError("unable to mmap 9 bytes from file <x>: Cannot allocate memory (12)"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    SafetensorError("Error while deserializing header: Cannot allocate memory (os error 12)"),
]


@pytest.mark.parametrize("error", NO_MEMORY, ids=repr)
@pytest.mark.parametrize("where", ["safe_open", "json.loads", "np.fromfile", "torch.load"])
def test_missing_memory_is_not_damage(tmp_path, monkeypatch, error, where):
    def fail(*_arguments, **_options):
        raise error

    path = tmp_path / ("model.ckpt" if where == "torch.load" else "model.safetensors")
    torch.save(STATE, path) if where == "torch.load" else save_file(STATE, path)
    monkeypatch.setattr(f"audiox_core.checkpoint.weight_file.{where}", fail)
    with pytest.raises(WeightsError, match=r"not enough memory to read model.* close other prog"):
        open_weights(path).copy("b")


def test_another_error_of_the_system_is_damage(tmp_path, monkeypatch):
    save_file(STATE, tmp_path / "model.safetensors")
    file = open_weights(tmp_path / "model.safetensors")

    def fail(*_arguments, **_options):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("audiox_core.checkpoint.weight_file.np.fromfile", fail)
    with pytest.raises(WeightsError, match=r"damaged or incomplete .*Input/output error"):
        file.copy("b")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space")
@pytest.mark.parametrize("suffix", ["safetensors", "ckpt"])
def test_a_file_larger_than_the_memory_is_one_line(tmp_path, suffix):
    """The limit is real: a process that may only map a little more than it has."""
    state, path = {"lora_up": torch.zeros(1 << 25)}, tmp_path / f"model.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    limited = (
        "import resource, sys\n"
        "from audiox_core.checkpoint.weight_file import open_weights\n"
        "from audiox_core.errors import WeightsError\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + (80 << 20), -1))\n"
        "try:\n"
        "    file = open_weights(sys.argv[1])\n"
        "    print([file.copy('lora_up').sum() for _ in range(2)])\n"
        "except WeightsError as error:\n"
        "    print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", limited, str(path)],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.startswith(f"There is not enough memory to read model.{suffix}"), run.stderr
