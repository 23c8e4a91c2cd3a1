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
        faults: a summary in the first line, below it the lines of the core that led there.
    """
    try:
        yield
    except AudioXError as error:
        faults += [f"{name}: {fault}" for fault in unclean(str(error))]
    except BaseException as error:  # a panic of a Rust library is no Exception
        faults.append(f"{name}: {type(error).__name__}: {error!s:.200}\n    {_places(error)}")


def unclean(message: str) -> list[str]:
    """What makes a message other than one line of plain text."""
    odd = sorted({c for c in message if unicodedata.category(c) in ("Cc", "Zl", "Zp")})
    found = [f"the message contains {odd!r}: {message!r:.300}"] if odd else []
    if len(message) > LONGEST_MESSAGE:
        found.append(f"the message has {len(message):,} characters: {message!r:.300}")
    return found


def _places(error: BaseException) -> str:
    """The lines of the core that an error came through, the last one first."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(CORE)]
    return " < ".join(f"{Path(f.filename).relative_to(CORE)}:{f.lineno} {f.name}" for f in own)
