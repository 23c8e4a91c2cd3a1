"""What a user can act on: every message says what was found, what was expected, what to do next."""


class AudioXError(Exception):
    """Something the user can mend. The message is one line and stands alone."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # one line, whatever a library's text brings


class MediaError(AudioXError):
    """A media file cannot be read or written as asked."""


class WeightsError(AudioXError):
    """A weights file is missing, damaged, or of another model."""


class SettingsError(AudioXError):
    """A value lies outside of what the model or the file allows."""
