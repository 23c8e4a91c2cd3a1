"""One step of what the pack does with a file: only an AudioXError of one clean line may end it."""

import traceback
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audiox_core.errors import AudioXError

LONGEST_MESSAGE = 2_000  # characters; a path can be long
CORE = Path(__file__).parents[2] / "audiox_core"


@contextmanager
def step(name: str, faults: list[str]) -> Iterator[None]:
    """Append the fault of a step to `faults`; an AudioXError with a clean message is none.

    Args:
        name: of the step.
        faults: a summary in the first line, the last lines of the traceback below it.
    """
    try:
        yield
    except AudioXError as error:
        faults += [f"{name}: {fault}" for fault in unclean(str(error))]
    except BaseException as error:  # a panic of a Rust library is no Exception
        trace = "".join(traceback.format_exception(error, limit=-5))
        faults.append(f"{name}: {type(error).__name__}{_place(error)}: {error!s:.200}\n{trace}")


def unclean(message: str) -> list[str]:
    """What makes a message other than one line of plain text."""
    odd = sorted({c for c in message if unicodedata.category(c) in ("Cc", "Zl", "Zp")})
    found = [f"the message contains {odd!r}: {message!r:.300}"] if odd else []
    if len(message) > LONGEST_MESSAGE:
        found.append(f"the message has {len(message):,} characters: {message!r:.300}")
    return found


def _place(error: BaseException) -> str:
    """Where in the core an error was raised or passed on."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(CORE)]
    if not own:
        return ""
    return f" at {Path(own[-1].filename).relative_to(CORE)}:{own[-1].lineno} in {own[-1].name}"
