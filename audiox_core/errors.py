"""Errors for users: every message says what was found, what was expected and what to do next."""

import errno
import re
from numbers import Integral, Real
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

# what PyTorch, safetensors and the system say where memory is missing
_NO_MEMORY = (
    "out of memory", "not enough memory", "allocate memory", "bad_alloc", "alloc_failed",
    "os error 11)", "os error 12)", "resource temporarily unavailable",
)  # fmt: skip

LONGEST_SHOWN = 80  # characters of a value
LONGEST_MESSAGE = 1_800  # characters

_TWO_WAYS = re.compile(r"\[\[(.*?)\|(.*?)\]\]", re.DOTALL)


class AudioXError(Exception):
    """An error that the user can fix. The message is one line and needs no context.

    Args:
        message: what was found, what was expected and what to do next. `[[pass --vae|connect a
            VAE]]` is what to do on the command line, and in ComfyUI.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(for_command_line(message)))
        self.for_node = one_line(_TWO_WAYS.sub(r"\2", message))


class MediaError(AudioXError):
    """A media file cannot be read or written as asked."""


class PictureError(MediaError):
    """The picture of a readable video cannot be copied as it is; it can be encoded."""


class AudioEndedError(MediaError):
    """The audio of a readable file ends before the part that is asked for."""


class WeightsError(AudioXError):
    """A weights file is missing, damaged, or belongs to another model."""


class SettingsError(AudioXError):
    """A value is outside of the range that the model or the file allows."""


def for_command_line(text: str) -> str:
    """The text with the first of each pair `[[command line|ComfyUI]]`."""
    return _TWO_WAYS.sub(r"\1", text)


def shown(value: object) -> str:
    """A value in a message: as in Python, and cut if it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or deep nesting
        return "too long to show"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def check_number(
    name: str,
    value: Any,
    low: float,
    high: float,
    hint: str = "",
    *,
    unit: str = "",
    whole: bool = False,
) -> None:
    """Check a setting.

    Args:
        name: of the setting; the message begins with it.
        value: what was given.
        low, high: smallest and largest value.
        hint: end of the message.
        unit: of the value, such as " s".
        whole: only integers are allowed.

    Raises:
        SettingsError: the value is no number, not in the range, or NaN.
    """
    kinds = (int,) if whole else (int, float)  # the usual ones, whose check is fast
    usual = type(value) in kinds or isinstance(value, Integral if whole else Real)
    if not usual or not low <= value <= high:
        given = f"{value:g}" if isinstance(value, float) and not whole else shown(value)
        allowed = f"{'a whole number from ' if whole else ''}{low:,} to {high:,}{unit}{hint}"
        raise SettingsError(f"{name} is {given}{unit}: it must be {allowed}.")


def plural(number: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def one_line(text: str) -> str:
    """Text without line breaks and escapes, and not endless, whatever a file or a library brings.

    What is cut out of a long text is its middle: the remedy stands at the end.
    """
    line = printable(" ".join(text.split()))
    half = LONGEST_MESSAGE // 2
    return line if len(line) <= LONGEST_MESSAGE else f"{line[:half]} … {line[-half:]}"


def printable(text: str) -> str:
    """Text without the characters that could control a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of any library means that memory is missing."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in (errno.ENOMEM, errno.EAGAIN)
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(mark in text for mark in _NO_MEMORY)


def check_regular_file(path: Path, kind: type[AudioXError]) -> None:
    """Raise an error of a kind for a folder, and for what reading might never return from.

    Raises:
        OSError: there is no such file.
    """
    mode = path.stat().st_mode
    if S_ISDIR(mode):
        raise kind(f"{path} is a folder: choose a file in it.")
    if not S_ISREG(mode):
        raise kind(f"{path} is a pipe, device or socket: save its content to a file first.")
