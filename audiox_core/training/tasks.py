"""Tasks of training: what a model gets, and what it makes.

Nothing here imports PyTorch: the command line checks a task without waiting for it.
"""

from dataclasses import dataclass

from ..errors import SettingsError

GIVEN = {  # the inputs of a task: the first half of its name
    "text": ("text",),
    "video": ("video",),
    "text+video": ("text", "video"),
    "audio": ("audio",),
    "uni": ("text", "video", "audio"),
}
TARGETS = ("audio", "music")  # the second half


@dataclass(frozen=True)
class Task:
    """Inputs and target of an item, for example `text+video_condition-audio`."""

    given: str  # a key of `GIVEN`
    target: str  # one of `TARGETS`

    def __str__(self) -> str:
        return f"{self.given}_condition-{self.target}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Modalities without which an item cannot be used; `uni` uses those that exist."""
        return () if self.given == "uni" else GIVEN[self.given]

    @classmethod
    def parse(cls, text: str) -> "Task":
        """Parse the name of a task. Raises SettingsError if it is not one."""
        words, _, target = text.strip().lower().partition("_condition-")
        given = "+".join(sorted(words.split("+")))
        if given not in GIVEN or target not in TARGETS:
            raise SettingsError(
                f"{text[:80]!r} is not a task: expected <{'|'.join(GIVEN)}>_condition-"
                f"<{'|'.join(TARGETS)}>."
            )
        return cls(given, target)
