"""Examine files in a process of its own, with limits on time and memory."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LONGEST = 60.0  # seconds for a file
LARGEST = 2_500_000_000  # bytes
START = 180.0  # seconds until a process has imported everything
HEADROOM = 1_000_000_000  # bytes above the limit at which the process is stopped
POLL = 0.1  # seconds
STACK = 2_000  # characters of a traceback that are shown


@dataclass(frozen=True)
class Result:
    """What was found in a file."""

    path: Path
    faults: list[str]
    seconds: float = 0.0
    peak: int = 0  # bytes


class Worker:
    """A process that examines files one after another; after a fault of its own it starts again.

    Use it in a `with` block.
    """

    def __init__(self, module: str, seconds: float = LONGEST, memory: int = LARGEST) -> None:
        """Take what to run.

        Args:
            module: of this folder, with `examine(path) -> list[str]`.
            seconds: longest time for a file.
            memory: most bytes of the process, with torch and the pack in it.
        """
        self.module, self.seconds, self.memory = module, seconds, memory
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Worker":
        self.folder = Path(tempfile.mkdtemp(prefix="audiox-fuzz-"))
        self.log = tempfile.TemporaryFile()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def check(self, path: Path) -> Result:
        """Examine one file."""
        began = time.monotonic()
        if self.process is None or self.process.poll() is not None:
            self._start()
            began = time.monotonic()
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(str(path.absolute())).encode() + b"\n")
        self.process.stdin.flush()
        answer, fault = self._answer(self.seconds)
        if fault:
            fault = f"{fault}\n{self._stack()}"
            self._stop()
            for file in self.folder.iterdir():
                file.unlink() if file.is_file() else shutil.rmtree(file)
            return Result(path, [fault], time.monotonic() - began)
        faults = list(answer["faults"])
        if answer["peak"] > self.memory:
            faults.append(f"{answer['peak'] / 1e9:.1f} GB of memory")
        return Result(path, faults, answer["seconds"], answer["peak"])

    def _start(self) -> None:
        self._stop()
        self.log.seek(0)
        self.log.truncate()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", self.module],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**os.environ, "TMPDIR": str(self.folder), "OMP_NUM_THREADS": "1"},
            bufsize=0,
        )
        answer, fault = self._answer(START)
        if fault or answer != "ready":
            raise RuntimeError(f"tests.fuzz.worker {self.module}: {fault}\n{self._stack()}")

    def _stack(self) -> str:
        """Where the process is, or was when it crashed, as `faulthandler` writes it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(1)
        self.log.seek(0)
        return self.log.read()[:STACK].decode(errors="replace")

    def _stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _answer(self, seconds: float) -> tuple[Any, str]:
        """The next answer, or what happened in its place."""
        assert self.process is not None
        assert self.process.stdout is not None
        handle, end, line = self.process.stdout.fileno(), time.monotonic() + seconds, b""
        while not line.endswith(b"\n"):
            if select.select([handle], [], [], POLL)[0]:
                part = os.read(handle, 1 << 16)
                if not part:
                    return None, f"the process ended with code {self.process.wait()}"
                line += part
            elif time.monotonic() > end:
                return None, f"no end after {seconds:g} s"
            elif (used := _resident(self.process.pid)) > self.memory + HEADROOM:
                return None, f"{used / 1e9:.1f} GB of memory, then stopped"
        return json.loads(line), ""


def check(module: str, path: Path) -> str | None:
    """The faults of one file, or None."""
    with Worker(module) as worker:
        return "\n".join(worker.check(path).faults) or None


def _resident(pid: int) -> int:
    """Bytes of memory that a process uses now; 0 where the system does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
