"""Writing safetensors files: complete or not at all."""

import pytest
import torch
from filelock import FileLock
from safetensors import safe_open

from audiox_core.checkpoint.weight_file import Stored
from audiox_core.checkpoint.write import check_target, write_safetensors
from audiox_core.errors import WeightsError

TENSORS = {
    "a": torch.arange(3, dtype=torch.uint8),
    "b": torch.tensor([[1.5], [2.5]]),
    "c": torch.tensor(7.0, dtype=torch.float16),
}
STORED = {name: Stored(tuple(tensor.shape), tensor.dtype) for name, tensor in TENSORS.items()}


def test_safetensors_reads_what_was_written(tmp_path):
    path, written = tmp_path / "a.safetensors", []
    write_safetensors(path, STORED, TENSORS.__getitem__, {"note": "é"}, written.append)
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"note": "é"}
        assert {name: file.get_tensor(name).tolist() for name in file.keys()} == {  # noqa: SIM118
            name: tensor.tolist() for name, tensor in TENSORS.items()
        }
    assert written == [STORED["b"], STORED["c"], STORED["a"]]  # the widest dtype first
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_text("old")
    with pytest.raises(KeyError):
        write_safetensors(path, STORED, {}.__getitem__, {})
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_file_that_another_process_writes_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    with FileLock(tmp_path / ".a.safetensors.lock"), pytest.raises(WeightsError, match="Another p"):
        write_safetensors(path, STORED, TENSORS.__getitem__, {})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.ckpt", "unsupported suffix"),
        ("no/a.safetensors", "not exist"),
        ("f.safetensors", "a folder"),
    ],
)
def test_targets_that_cannot_be_written_are_refused(tmp_path, name, message):
    (tmp_path / "f.safetensors").mkdir()
    with pytest.raises(WeightsError, match=message):
        check_target(tmp_path / name)
