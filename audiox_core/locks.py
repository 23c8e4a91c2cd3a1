"""Two processes must not write one file."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import AudioXError


@contextmanager
def locked(path: Path, busy: AudioXError) -> Iterator[None]:
    """Hold the lock of a file; the lock of a killed process is free again.

    Args:
        path: of the file; its lock is a hidden file beside it.
        busy: raised where another process holds the lock.
    """
    lock_path = path.with_name(f".{path.name}.lock")
    lock = FileLock(lock_path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise busy from None
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):
            lock_path.unlink()
