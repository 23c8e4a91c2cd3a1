"""`ModelHost`: the interface through which the pipeline gets the modules of a model.

Every step of the pipeline (`audiox_core/pipeline`) takes a `ModelHost` and gets from it the modules
that it needs. A loaded checkpoint returns its own modules; in ComfyUI its memory manager loads them
(`nodes/bridge/conditioners.py`). Nothing else differs between Python and ComfyUI.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Literal

import torch
from torch import Tensor

from ..config import AudioXConfig
from .assemble import Conditioners

Part = Literal["text", "video", "sync", "audio", "maf", "vae"]


class ModelHost(ABC):
    """Provides modules on their device, shows progress, and checks for interrupts."""

    config: AudioXConfig
    conditioners: Conditioners  # wherever they are now; to compute with one, `use` it

    @abstractmethod
    def use(self, name: Part) -> Any:
        """A module on its device, ready to compute; its class follows from the name.

        Raises:
            WeightsError: the module was not found when the model was loaded.
        """

    def device_of(self, name: Part) -> torch.device:
        """The device that a module in use computes on."""
        return next(self.use(name).parameters()).device

    def progress(self, done: float) -> None:  # noqa: B027 (plain modules show nothing)
        """Show the share of a step that is done, 0..1."""

    def check_interrupt(self) -> None:  # noqa: B027 (Ctrl-C raises by itself)
        """Raise the host's error if the user has interrupted the run."""

    def keep(self, tokens: Tensor) -> Tensor:
        """Move the result of a step to where results are kept between steps."""
        return tokens

    @cached_property
    def absent_audio(self) -> Tensor:
        """Tokens of no audio prompt, `1 s d`; some variants encode silence for them, once."""
        return self.keep(self.conditioners.audio.absent(partial(self.use, "vae")))


class ReportingHost(ModelHost):
    """A host whose progress is passed to a function; all else is that of another host."""

    def __init__(self, host: ModelHost, report: Callable[[float], None]) -> None:
        """`report`: called with the share of a step that is done, 0..1; may raise to stop."""
        self.config, self.conditioners = host.config, host.conditioners
        self._host, self._report = host, report

    def use(self, name: Part) -> Any:
        """A module of the other host."""
        return self._host.use(name)

    def device_of(self, name: Part) -> torch.device:
        """As the other host says."""
        return self._host.device_of(name)

    def progress(self, done: float) -> None:
        """Pass the share that is done to the function."""
        self._report(done)

    def check_interrupt(self) -> None:
        """As the other host does."""
        self._host.check_interrupt()

    def keep(self, tokens: Tensor) -> Tensor:
        """As the other host does."""
        return self._host.keep(tokens)

    @cached_property
    def absent_audio(self) -> Tensor:
        """That of the other host, which keeps it."""
        return self._host.absent_audio
