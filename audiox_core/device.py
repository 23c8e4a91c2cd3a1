"""Which device and which dtypes to compute in: one rule for Python, the command line and tests."""

import logging
from dataclasses import dataclass

import torch

from .errors import SettingsError
from .limits import DTYPE_NAMES, check_device_name

logger = logging.getLogger(__name__)

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in DTYPE_NAMES}

# GPUs of the GeForce 16 series and their relatives, which give NaN in float16
BROKEN_HALF = (
    "1660", "1650", "1630", "T500", "T550", "T600", "MX550", "MX450", "CMP 30HX", "T2000", "T1000",
    "T1200",
)  # fmt: skip


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
    check_device_name(name)
    if (why := _unavailable(name)) is not None:
        raise SettingsError(f"The device {name!r} cannot be used here: {why}")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except Exception as error:  # each backend that is not available fails in its own way
        reason = str(error).partition("\n")[0][:80]
        raise SettingsError(
            f"The device {name!r} cannot be used here ({reason}): use the device cpu, or leave "
            "the device out."
        ) from error
    return device


def _unavailable(name: str) -> str | None:
    """Why a device of a usual kind is not there, and what to do; None if nothing is known."""
    kind, _, number = name.partition(":")
    if kind == "mps" and not torch.backends.mps.is_available():
        return "it is the GPU of a Mac with Apple silicon. Use the device cpu."
    if kind != "cuda":
        return None
    if torch.version.cuda is None and torch.version.hip is None:
        return (
            f"PyTorch {torch.__version__} is installed without CUDA. Use the device cpu, or "
            "install PyTorch for CUDA from https://pytorch.org/get-started/locally."
        )
    if not torch.cuda.is_available():
        return (
            "PyTorch finds no GPU. Use the device cpu, or check the driver, for example with "
            "nvidia-smi."
        )
    count = torch.cuda.device_count()
    if number and int(number) >= count:
        there = "only cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        return f"this machine has {there}."
    return None


@dataclass(frozen=True)
class Precision:
    """The dtype of each part of a model; the encoders of text and pictures are always float32."""

    backbone: torch.dtype = torch.float32
    vae: torch.dtype = torch.float32
    sync: torch.dtype = torch.float32  # Synchformer


def choose_precision(device: torch.device, dtype: torch.dtype | None = None) -> Precision:
    """The dtypes that fit a device.

    On a GPU the transformer computes in float16. One step then differs from float32 by 0.003
    standard deviations (bfloat16: 0.02), measured at the released sizes on an H100, and 20 steps of
    the trained embedded model end 0.10 dB off (bfloat16: 0.79 dB; another seed: 9.7 dB). The VAE
    and Synchformer follow on CUDA: decoded audio has a log-spectral distance of 0.35 dB to float32,
    below the 1 dB that is taken for transparent (Paliwal and Atal 1993), and features differ by
    0.001 standard deviations. In bfloat16 the VAE is 3 dB off, so it never computes in it.

    Args:
        device: of all parts.
        dtype: of the transformer; None chooses it. With float32 all parts are float32.
    """
    half = has_fast_half(device)
    if dtype is None:
        dtype = torch.float16 if half else torch.float32
    elif dtype == torch.float16 and device.type == "cpu":
        logger.warning("Most CPUs compute float16 very slowly: try bfloat16 or float32.")
    if device.type != "cuda" or not half or dtype == torch.float32:
        return Precision(dtype)
    return Precision(dtype, torch.float16, torch.float16)


def has_fast_half(device: torch.device) -> bool:
    """Whether float16 is faster than float32 and correct on a device, by the rules of ComfyUI."""
    if device.type != "cuda":
        return device.type == "mps"
    name = torch.cuda.get_device_name(device)
    if any(broken in name for broken in BROKEN_HALF):
        return False
    return torch.cuda.get_device_capability(device) >= (7, 0)
