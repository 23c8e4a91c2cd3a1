"""Errors for users: every message says what was found, what was expected and what to do next."""

import re
from numbers import Integral, Real

_TWO_WAYS = re.compile(r"\[\[(.*?)\|(.*?)\]\]", re.DOTALL)


class AudioXError(Exception):
    """An error that the user can fix. The message is one line and needs no context.

    Args:
        message: what was found, what was expected and what to do next. `[[pass --vae|connect a
            VAE]]` is what to do on the command line, and in ComfyUI.
    """

    def __init__(self, message: str) -> None:
        # one line, whatever a library's text brings
        super().__init__(" ".join(for_command_line(message).split()))
        self.for_node = " ".join(_TWO_WAYS.sub(r"\2", message).split())


class MediaError(AudioXError):
    """A media file cannot be read or written as asked."""


class WeightsError(AudioXError):
    """A weights file is missing, damaged, or belongs to another model."""


class SettingsError(AudioXError):
    """A value is outside of the range that the model or the file allows."""


def for_command_line(text: str) -> str:
    """The text with the first of each pair `[[command line|ComfyUI]]`."""
    return _TWO_WAYS.sub(r"\1", text)


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
        shown = f"{value:g}" if isinstance(value, float) else repr(value)[:40]
        allowed = f"{'a whole number from ' if whole else ''}{low:,} to {high:,}{unit}{hint}"
        raise SettingsError(f"{name} is {shown}{unit}: it must be {allowed}.")
