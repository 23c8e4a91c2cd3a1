"""Errors for users: every message says what was found, what was expected and what to do next."""

from numbers import Integral, Real

LONGEST_SHOWN = 80  # characters of a value


class AudioXError(Exception):
    """An error that the user can fix. The message is one line and needs no context."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class MediaError(AudioXError):
    """A media file cannot be read or written as asked."""


class WeightsError(AudioXError):
    """A weights file is missing, damaged, or belongs to another model."""


class SettingsError(AudioXError):
    """A value is outside of the range that the model or the file allows."""


def one_line(text: str) -> str:
    """Text without line breaks and escapes, whatever a file's name or a library brings."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


def shown(value: object) -> str:
    """A value in a message: as in Python, and cut if it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or deep nesting
        return "too long to show"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def check_number(
    name: str,
    value: object,
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
    if not isinstance(value, Integral if whole else Real) or not low <= value <= high:
        given = f"{value:g}" if isinstance(value, float) else shown(value)
        allowed = f"{'a whole number from ' if whole else ''}{low:,} to {high:,}{unit}{hint}"
        raise SettingsError(f"{name} is {given}{unit}: it must be {allowed}.")
