"""Errors for users: one line each, and all caught as one kind."""

import errno

import pytest

from audiox_core.errors import (
    AudioXError,
    MediaError,
    SettingsError,
    WeightsError,
    is_out_of_memory,
)


@pytest.mark.parametrize("kind", [MediaError, SettingsError, WeightsError])
def test_every_error_is_caught_as_an_audiox_error(kind):
    with pytest.raises(AudioXError, match="rain"):
        raise kind("no rain")


def test_a_message_of_several_lines_becomes_one_line():
    assert str(MediaError("moov atom\n  not found\t.")) == "moov atom not found ."


def test_characters_that_control_a_terminal_are_replaced():
    assert str(WeightsError("a\x1b[31mb\ud800c\x07 é 雨")) == "a\ufffd[31mb\ufffdc\ufffd é 雨"


def test_a_very_long_message_keeps_its_beginning_and_the_remedy_at_its_end():
    message = str(WeightsError(f"It has '{'x' * 9_000}': download it again."))
    assert message.startswith("It has 'xxx")
    assert message.endswith("xxx': download it again.")
    assert len(message) < 2_000


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("unable to mmap 9 bytes from file <x>: Cannot allocate memory (12)"), True),
        (OSError(errno.EIO, "Input/output error"), False),
        (ValueError("expected 12 bytes"), False),
    ],
)
def test_an_error_of_missing_memory_is_known_whatever_raised_it(error, expected):
    assert is_out_of_memory(error) == expected
