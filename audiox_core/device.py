"""Which device and which dtype to compute on."""

import torch

from .errors import SettingsError
from .limits import DTYPE_NAMES

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in DTYPE_NAMES}


def choose_device(name: str | None = None) -> torch.device:
    """The device of a name, or without one the best there is: CUDA, MPS, else the CPU.

    Args:
        name: such as `cpu`, `cuda`, `cuda:1` or `mps`.

    Raises:
        SettingsError: nothing can be computed on it.
    """
    if name is None:
        best = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device("mps" if torch.backends.mps.is_available() else best)
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
        if device.type == "meta":
            raise RuntimeError("it computes nothing")
    except Exception as error:  # each backend that is not available fails in its own way
        raise SettingsError(
            f"The device {name!r} cannot be used here ({str(error)[:80]}): try --device cpu."
        ) from error
    return device
