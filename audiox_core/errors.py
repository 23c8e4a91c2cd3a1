"""Errors for users: every message says what was found, what was expected and what to do next."""

import errno


class AudioXError(Exception):
    """An error that the user can fix. The message is one line and needs no context."""

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())  # whatever a library's text brings
        line = "".join(c if c.isprintable() else "?" for c in line)
        super().__init__(line if len(line) < 1800 else f"{line[:1200]} … {line[-500:]}")


class MediaError(AudioXError):
    """A media file cannot be read or written as asked."""


class WeightsError(AudioXError):
    """A weights file is missing, damaged, or belongs to another model."""


class SettingsError(AudioXError):
    """A value is outside of the range that the model or the file allows."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of any library means that the computer has no memory left."""
    if isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.EAGAIN):
        return True
    text = str(error).lower()  # torch raises RuntimeError, safetensors its own errors
    return isinstance(error, MemoryError) or any(mark in text for mark in _OUT_OF_MEMORY)


_OUT_OF_MEMORY = (
    "allocate memory",
    "not enough memory",
    "os error 12)",
    "os error 11)",
    "resource temporarily unavailable",
)
