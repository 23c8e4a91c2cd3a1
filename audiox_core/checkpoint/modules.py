"""Modules with the weights of a file.

Weights that are used as they are stored stay mapped to the file; those that are converted are read
tensor by tensor, past the map, so that loading takes no more memory than the module.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from .layout import used
from .weight_file import Shape, WeightFile, reading

# in half precision the frequencies of the diffusion time would be off by up to 0.05 %
KEPT_FLOAT32 = ("timestep_features.weight",)

PACKED = getattr(torch, "float4_e2m1fn_x2", None)  # two numbers in one

M = TypeVar("M", bound=nn.Module)


def load_module(
    file: WeightFile,
    prefix: str,
    build: Callable[[], M],
    *,
    canonical: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
    without: str | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    copy: bool = False,
) -> M:
    """Build a module and fill it with the tensors below a prefix, whose layout was checked.

    Args:
        file: holds the weights.
        prefix: before the module's names in the file.
        build: makes the module; called on the meta device, so that it takes no memory.
        canonical: from the file's names to the module's.
        without: a prefix in the file that belongs to another module.
        dtype: of the weights, but for those that are packed.
        device: of the weights; a CUDA device checks and converts them itself.
        copy: read everything into memory of its own, for a `canonical` that writes.

    Returns:
        The module in evaluation mode, without gradients.

    Raises:
        WeightsError: a tensor holds no finite real numbers.
    """
    names = {
        name: name.removeprefix(prefix)
        for name in used(file.below(prefix))
        if not (without and name.startswith(without))
    }
    dtypes = {
        n: file.tensors[n].dtype if file.tensors[n].packed else _dtype(file.shapes[n], ours, dtype)
        for n, ours in names.items()
    }
    mapped = file.read([n for n in names if file.tensors[n].dtype == dtypes[n] and not copy])

    # not every other device has the types that a file may hold, such as float64 and float8
    computes = device if torch.device(device).type == "cuda" else "cpu"

    def loaded(name: str) -> Tensor:
        stored = mapped[name] if name in mapped else file.copy(name)
        if file.tensors[name].packed:  # a host reads it, from bytes in the memory of the CPU
            return stored
        return check_numbers(file, name, stored.to(computes)).to(dtypes[name]).to(device)

    with reading(file.path):  # there may be no memory for another dtype
        state = {ours: loaded(n) for n, ours in names.items()}
    with torch.device("meta"):
        module = build()
    module.load_state_dict(canonical(state), assign=True)
    return module.eval().requires_grad_(False).to(device)  # buffers that no file holds


def _dtype(shape: Shape, name: str, dtype: torch.dtype) -> torch.dtype:
    """In eight bits only matrices are kept: a norm or a bias would lose too much."""
    kept = name in KEPT_FLOAT32 or (dtype.itemsize == 1 and len(shape) < 2)
    return torch.float32 if kept else dtype


def check_numbers(file: WeightFile, name: str, tensor: Tensor) -> Tensor:
    """The tensor itself. Raises WeightsError where it holds no finite real numbers."""
    if not tensor.is_floating_point() or tensor.dtype == PACKED:
        raise not_floating(file, name)
    if not tensor.numel():
        raise WeightsError(f"{file.path.name} has an empty tensor '{name}': download it again.")
    low, high = (tensor if tensor.itemsize > 1 else tensor.float()).aminmax()  # no second copy
    if not (low.isfinite() and high.isfinite()):
        raise WeightsError(
            f"{file.path.name} has NaN or infinite values in '{name}': download it again."
        )
    return tensor


def not_floating(file: WeightFile, name: str) -> WeightsError:
    """The error of a tensor that holds no real numbers."""
    dtype = f"{file.tensors[name].dtype}".removeprefix("torch.")
    return WeightsError(
        f"{file.path.name} stores '{name}' as {dtype}, which is not a floating-point type: "
        "download it again."
    )
