"""Errors for users: every message says what was found, what was expected and what to do next."""


class AudioXError(Exception):
    """An error that the user can fix. The message is one line and needs no context."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # one line, whatever a library's text brings


class MediaError(AudioXError):
    """A media file cannot be read or written as asked."""


class WeightsError(AudioXError):
    """A weights file is missing, damaged, or belongs to another model."""


class SettingsError(AudioXError):
    """A value is outside of the range that the model or the file allows."""
