"""The process that examines files: `python -m tests.fuzz.worker MODULE`.

It reads paths as lines of JSON and answers each with the faults and the peak of its memory.
"""

import faulthandler
import gc
import importlib
import json
import logging
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .steps import step, unclean

DATA_LIMIT = 8 << 30  # bytes; an allocation beyond it fails instead of filling the machine


class _Lines(logging.Handler):
    """Keeps what the core logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def main() -> None:
    """Answer until the input ends."""
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    resource.setrlimit(resource.RLIMIT_DATA, (DATA_LIMIT, DATA_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    examine = importlib.import_module(f"{__package__}.{sys.argv[1]}").examine
    logged = _Lines()
    logging.getLogger("audiox_core").addHandler(logged)
    gc.collect()
    gc.freeze()  # the collection after each file would look through all imports
    answers.write(json.dumps("ready") + "\n")
    for line in sys.stdin:
        answers.write(json.dumps(examined(examine, Path(json.loads(line)), logged)) + "\n")


def examined(examine: Callable[[Path], list[str]], path: Path, logged: _Lines) -> dict[str, Any]:
    """The faults of a file, the seconds that it took and the bytes of its peak."""
    _forget_peak()
    logged.lines.clear()
    before, handles, began = _files(path), _handles(), time.monotonic()
    faults: list[str] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with step("examine", faults):
            faults += examine(path)
    gc.collect()
    faults += [f"log: {fault}" for line in logged.lines for fault in unclean(line)]
    faults += [f"warning: {str(w.message)!r:.200}" for w in warned if not _is_known(w)]
    if left := sorted(_files(path) - before):
        faults.append(f"files left: {left!r:.300}")
    if (more := _handles() - handles) > 0:
        faults.append(f"{more} file handles left open")
    return {"faults": faults, "seconds": time.monotonic() - began, "peak": _peak()}


def _is_known(warned: warnings.WarningMessage) -> bool:
    """Whether a warning is about a library's own code, not about the file."""
    return issubclass(warned.category, (DeprecationWarning, FutureWarning, ResourceWarning))


def _files(path: Path) -> set[str]:
    """All files beside a file, and in the folder of temporary files."""
    temporary = Path(os.environ["TMPDIR"])
    return {str(p) for folder in (path.parent, temporary) for p in folder.iterdir()}


def _handles() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def _forget_peak() -> None:
    file = Path("/proc/self/clear_refs")
    if file.exists():
        file.write_text("5", encoding="utf-8")


def _peak() -> int:
    """Bytes of the largest resident size since `_forget_peak`; of the process elsewhere."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(li for li in status.read_text().splitlines() if li.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
