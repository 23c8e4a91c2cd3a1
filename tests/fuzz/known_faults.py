"""Every kind of fault, to test that the campaign finds it: the name of a file says what happens."""

import gc
import logging
import os
import signal
import tempfile
import time
import warnings
from pathlib import Path

from audiox_core.errors import AudioXError, MediaError

from .steps import step

kept: list[object] = []


class _RawError(AudioXError):
    """An error whose message was not cleaned."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


def examine(path: Path) -> list[str]:
    """What the file's name says, within a step."""
    faults: list[str] = []
    with step("reading", faults):
        globals()[f"_{path.stem}"](path)
    return faults


def _fine(path: Path) -> None:
    raise MediaError(f"{path.name} is damaged. Export it again.")


def _raises(path: Path) -> None:
    raise IndexError("list index out of range")


def _speaks_in_lines(path: Path) -> None:
    raise _RawError("two\nlines")


def _speaks_at_length(path: Path) -> None:
    raise _RawError("word " * 1_000)


def _logs_escapes(path: Path) -> None:
    logging.getLogger("audiox_core.media").warning("red \x1b[31m")


def _warns(path: Path) -> None:
    warnings.warn("invalid value", RuntimeWarning, stacklevel=1)


def _leaves_a_temporary_file(path: Path) -> None:
    os.close(tempfile.mkstemp()[0])


def _leaves_a_file_beside(path: Path) -> None:
    path.with_suffix(".part").touch()


def _leaves_a_handle(path: Path) -> None:
    kept.append(path.open("rb"))


def _crashes(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _hangs(path: Path) -> None:
    time.sleep(600)


def _fills_the_memory(path: Path) -> None:
    filled = bytearray(400 << 20)
    filled[:: 1 << 12] = bytes(len(filled[:: 1 << 12]))  # a byte of every page
    del filled
    gc.collect()
