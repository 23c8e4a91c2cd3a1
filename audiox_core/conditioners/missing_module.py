"""A placeholder for an encoder whose weights were not found; it raises an error when used."""

from typing import Any, NoReturn

from torch import nn

from ..errors import WeightsError


class MissingModule(nn.Module):
    """Replaces a text encoder or Synchformer; every use raises the error with the remedy.

    The methods of `nn.Module` (`to`, `parameters`, `eval`, …) work; there are no weights.
    """

    def __init__(self, message: str) -> None:
        """`message`: what is missing and how to get it."""
        super().__init__()
        self.message = message

    def forward(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raise WeightsError."""
        raise WeightsError(self.message)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # Python and PyTorch ask for these to see whether they exist
            return super().__getattr__(name)
        raise WeightsError(self.message)


def check_present(*modules: nn.Module | None) -> None:
    """Raise the error of the first `MissingModule`, before anything is computed."""
    for module in modules:
        if isinstance(module, MissingModule):
            module()
