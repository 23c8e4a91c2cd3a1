"""Whether a file can be a weights file, by its name and its first bytes."""

import pytest
import torch
from safetensors.torch import save_file

from audiox_core.checkpoint.file_check import check_weights_file, check_whole, unreadable
from audiox_core.errors import WeightsError


@pytest.mark.parametrize("name", ["a.safetensors", "a.SFT", "a.ckpt", "a.pt", "a.pth", "a.bin"])
def test_the_suffix_of_a_weights_file_is_returned_in_lower_case(tmp_path, name):
    (tmp_path / name).write_bytes(b"anything")
    assert check_weights_file(tmp_path / name) == f".{name.lower().partition('.')[2]}"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.onnx", b"none of ours", r"expected one of \.safetensors"),
        ("model.gguf", b"none of ours", "GGUF.*fetch.*convert"),
        ("model.safetensors", b"GGUF3", "GGUF.*fetch.*convert"),
        ("model.ckpt.part", b"half", r"damaged or incomplete \(4 bytes; its name ends in \.part"),
    ],
)
def test_other_kinds_of_file_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        check_weights_file(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"There is no weights file .*model\.ckpt"):
        check_weights_file(tmp_path / "model.ckpt")
    with pytest.raises(WeightsError, match="is a folder: choose a weights file"):
        check_weights_file(tmp_path)


def test_missing_memory_is_not_called_damage(tmp_path):
    error = unreadable(tmp_path / "model.ckpt", MemoryError())
    assert str(error).startswith("There is not enough memory to read model.ckpt (0.00 GB)")


def test_a_file_that_is_cut_off_is_refused_by_its_header_or_archive(tmp_path):
    whole, archive = tmp_path / "a.safetensors", tmp_path / "b.ckpt"
    save_file({"w": torch.arange(100.0)}, whole)
    torch.save({"w": torch.arange(100.0)}, archive)
    for path in (whole, archive):
        check_whole(path)
        content = path.read_bytes()
        for kept in (6, 40, len(content) - 1):
            path.write_bytes(content[:kept])
            with pytest.raises(WeightsError, match=r"damaged or incomplete .*its end is missing"):
                check_whole(path)


@pytest.mark.parametrize("header", [b"no JSON at all", b'{"w": 3}', b"[]"])
def test_a_header_that_cannot_be_read_is_left_to_the_reader(tmp_path, header):
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    check_whole(path)
