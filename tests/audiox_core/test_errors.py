"""Errors for users: one line each, all caught as one kind; and what several modules check."""

import os
import socket

import pytest
import torch

from audiox_core.errors import (
    AudioXError,
    MediaError,
    SettingsError,
    WeightsError,
    check_number,
    check_regular_file,
    is_out_of_memory,
)


@pytest.mark.parametrize("kind", [MediaError, SettingsError, WeightsError])
def test_every_error_is_caught_as_an_audiox_error(kind):
    with pytest.raises(AudioXError, match="rain"):
        raise kind("no rain")


def test_a_message_of_several_lines_becomes_one_line():
    assert str(MediaError("moov atom\n  not found\t.")) == "moov atom not found ."


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x7f", "\x9b", "\u202e", "\ud800"])
def test_a_message_cannot_control_a_terminal(character):
    assert str(MediaError(f"no {character}[31mfile")) == "no \N{REPLACEMENT CHARACTER}[31mfile"
    assert str(MediaError("東京 🌧 é")) == "東京 🌧 é"


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        (3, {}, "x is 3: it must be 0 to 2."),
        (float("nan"), {}, "x is nan: it must be 0 to 2."),
        (-1.5, {"unit": " s"}, "x is -1.5 s: it must be 0 to 2 s."),
        (1.5, {"whole": True}, "x is 1.5: it must be a whole number from 0 to 2."),
        ("one", {"hint": ", usually 1"}, "x is 'one': it must be 0 to 2, usually 1."),
        (None, {}, "x is None: it must be 0 to 2."),
    ],
)
def test_a_number_out_of_range_is_named_with_its_limits(value, options, message):
    with pytest.raises(SettingsError) as error:
        check_number("x", value, 0, 2, **options)
    assert str(error.value) == message


def test_a_very_long_message_keeps_its_beginning_and_the_remedy_at_its_end():
    message = str(WeightsError(f"It has '{'x' * 9_000}': download it again."))
    assert message.startswith("It has 'xxx")
    assert message.endswith("xxx': download it again.")
    assert len(message) < 2_000


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (OSError(11, "Resource temporarily unavailable"), True),
        (RuntimeError("unable to mmap 9 bytes from file <x>: Cannot allocate memory (12)"), True),
        (OSError(2, "No such file"), False),
        (ValueError("expected 12 bytes"), False),
        (RuntimeError("shape mismatch"), False),
    ],
    ids=repr,
)
def test_missing_memory_is_told_from_other_errors(error, expected):
    assert is_out_of_memory(error) == expected


def test_only_regular_files_are_read(tmp_path):
    (tmp_path / "file").touch()
    check_regular_file(tmp_path / "file", WeightsError)
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("fifo", "socket", "/dev/zero"):
            with pytest.raises(WeightsError, match="is a pipe, device or socket"):
                check_regular_file(tmp_path / name, WeightsError)
    with pytest.raises(SettingsError, match="is a folder"):
        check_regular_file(tmp_path, SettingsError)
    with pytest.raises(FileNotFoundError):
        check_regular_file(tmp_path / "nowhere", WeightsError)
