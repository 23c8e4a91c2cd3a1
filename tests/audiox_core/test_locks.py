"""One process at a time writes a file."""

import pytest

from audiox_core.errors import WeightsError
from audiox_core.locks import locked

BUSY = WeightsError("Another process is writing it.")


def test_a_second_writer_is_refused_and_the_lock_is_free_afterwards(tmp_path):
    path = tmp_path / "model.safetensors"
    with locked(path, BUSY), pytest.raises(WeightsError, match="Another"), locked(path, BUSY):
        pass
    with locked(path, BUSY):
        pass
    assert [*tmp_path.iterdir()] == []


def test_a_failed_writer_leaves_no_lock(tmp_path):
    with pytest.raises(OSError, match="full"), locked(tmp_path / "model.safetensors", BUSY):
        raise OSError("full")
    assert [*tmp_path.iterdir()] == []


def test_files_of_other_names_are_not_locked(tmp_path):
    with locked(tmp_path / "a.ckpt", BUSY), locked(tmp_path / "b.ckpt", BUSY):
        assert len([*tmp_path.iterdir()]) == 2
