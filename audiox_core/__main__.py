"""`python -m audiox_core`."""

import signal
import sys


def run() -> int:
    """The command line; a request to terminate is handled like Ctrl-C: nothing is left behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from .cli import main  # here, for it takes seconds in which Ctrl-C may come

        return main()
    except KeyboardInterrupt:
        sys.stderr.write("error: Stopped; nothing was written.\n")
        return 130


sys.exit(run())
