"""What training and evaluation need of a scene of either rendered world."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from .motion import Event


@runtime_checkable
class RenderedScene(Protocol):
    """A scene of either world."""

    @property
    def label(self) -> str:
        """Its class."""
        ...

    @property
    def caption(self) -> str:
        """What it shows."""
        ...

    @property
    def seconds(self) -> float:
        """Its length."""
        ...

    @property
    def seed(self) -> int:
        """Of all that was drawn."""
        ...

    @property
    def events(self) -> tuple[Event, ...]:
        """By time; none of a texture."""
        ...

    def audio(self, sample_rate: int) -> Tensor:
        """The sound, `2 n`; `sample_rate` in Hz."""
        ...

    def frames(self, times: Sequence[float], size: int) -> Tensor:
        """The pictures at `times` in seconds, `f 3 size size` uint8."""
        ...
