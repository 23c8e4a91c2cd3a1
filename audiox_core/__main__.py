"""`python -m audiox_core`: the signals and output streams of the process."""

import io
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, TextIO

from .errors import printable

# Ctrl-C, and what a system, a job queue or a closed terminal sends
STOPPING = [s for s in signal.Signals if s.name in {"SIGINT", "SIGTERM", "SIGHUP"}]


class Output(io.TextIOWrapper):
    """stderr or stdout whose reader may go away: what cannot be written is dropped.

    So a command that has written its file succeeds, and nothing fails when Python exits.
    """

    def write(self, text: str) -> int:
        """Write text, or drop it."""
        with suppress(OSError):
            return super().write(text)
        self._drop()
        return len(text)

    def flush(self) -> None:
        """Flush what was written, or drop it."""
        try:
            super().flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())  # also for what is still buffered
        os.close(nowhere)


class Results(Output):
    """stdout: names and notes of files cannot control the terminal."""

    def write(self, text: str) -> int:
        """Write lines of text without control characters."""
        super().write("\n".join(printable(line) for line in text.split("\n")))
        return len(text)


def opened(stream: TextIO | None, kind: type[Output]) -> TextIO:
    """A stream of the process as an output of a kind; a closed one shows nothing.

    Characters that its encoding lacks are escaped.
    """
    if not isinstance(stream, io.TextIOWrapper):
        return stream or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123
    encoding = stream.encoding
    # of the two, PYTHONUNBUFFERED sets the latter
    at_once: dict[str, Any] = {
        "line_buffering": stream.line_buffering,
        "write_through": stream.write_through,
    }
    return kind(stream.detach(), encoding, "backslashreplace", **at_once)


def stop(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt with the number of the signal; a second signal ends the process.

    It waits for the end of an import: libraries turn an exception in its middle into another one.
    """
    _restore_signals()
    if _importing(frame) and hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda _alarm, frame: stop(number, frame))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
    else:
        raise KeyboardInterrupt(number)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _restore_signals() -> None:
    for number in STOPPING:
        if signal.getsignal(number) is stop:
            signal.signal(number, signal.SIG_DFL)


def run() -> int:
    """The command line; every signal to stop is handled like Ctrl-C: nothing is left behind."""
    sys.stdout, sys.stderr = opened(sys.stdout, Results), opened(sys.stderr, Output)
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` asks
            signal.signal(number, stop)
    try:
        from .cli import main  # here, for it takes seconds in which a signal may come

        return main()
    except KeyboardInterrupt as error:
        sys.stderr.write("error: Stopped; nothing was written.\n")
        return 128 + (error.args or (signal.SIGINT,))[0]
    finally:
        _restore_signals()
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run())
