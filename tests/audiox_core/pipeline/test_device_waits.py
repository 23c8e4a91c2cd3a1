"""A prepared step never makes the host wait for the device: no copies to it, no numbers from it.

The meta device stands for the GPU: a tensor on it is not on the CPU, and every call can be seen.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from audiox_core.conditioners.assemble import Conditioning
from audiox_core.diffusion.guidance import guided
from audiox_core.diffusion.inpaint import masked_denoiser
from audiox_core.diffusion.objectives import OBJECTIVES
from audiox_core.models import backbone
from audiox_core.pipeline.predictor import predictor
from audiox_core.pipeline.run_cache import RunCache, predict
from audiox_core.windows import plan

DEVICE = torch.device("meta")
VARIANTS = ["audiox", "audiox-maf", "audiox-maf-mmdit", "audiox-base", "audiox-turbo"]
READS = {"item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__int__", "__float__"}
MAKES = {"tensor", "new_tensor", "as_tensor"}  # from numbers of the host
SIZED_BY_VALUES = {"nonzero", "masked_select", "_local_scalar_dense", "unique_dim", "_unique2"}


def on_device(values: object) -> bool:
    return any(isinstance(v, Tensor) and v.device == DEVICE for v in tree_leaves(values))


def on_host(values: object) -> bool:
    return any(isinstance(v, Tensor) and v.device.type == "cpu" for v in tree_leaves(values))


class Calls(TorchFunctionMode):
    """Notes what Python asks of a tensor on the device."""

    def __init__(self, waits: list[str]) -> None:
        super().__init__()
        self.waits = waits

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, given = func.__name__, (args, kwargs or {})
        out = func(*args, **(kwargs or {}))
        index = tree_leaves(args[1]) if name in {"__getitem__", "__setitem__"} else ()
        listed = name in {"__getitem__", "__setitem__"} and has_list(args[1])
        masked = any(isinstance(i, Tensor) and i.dtype == torch.bool for i in index)
        if on_device(given) and (name in READS or listed or masked):
            self.waits.append(name)
        if name in MAKES and on_device(out):
            self.waits.append(name)
        return out


def has_list(index: object) -> bool:
    return isinstance(index, list) or (isinstance(index, tuple) and any(map(has_list, index)))


class Kernels(TorchDispatchMode):
    """Notes copies between the two, and results whose size depends on values."""

    def __init__(self, waits: list[str]) -> None:
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        everything = (args, kwargs or {}, out)
        name = func.overloadpacket.__name__
        scalars = name in {"mul", "add", "sub", "div"} and not any(
            isinstance(v, Tensor) and v.ndim and v.device.type == "cpu" for v in tree_leaves(args)
        )  # a number in a tensor without axes is an argument of a kernel
        if on_device(everything) and (
            (on_host(everything) and not scalars) or name in SIZED_BY_VALUES
        ):
            self.waits.append(name)
        return out


@contextmanager
def counted_waits():
    waits: list[str] = []
    with Calls(waits), Kernels(waits):
        yield waits


X = torch.zeros(4, 3, device=DEVICE)


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.ones(3).to(DEVICE), lambda: X.copy_(torch.ones(3)), lambda: X[[0, 1]],
        lambda: X[:, [0, 2]], lambda: torch.tensor([1.0], device=DEVICE),
        lambda: X.new_tensor([1.0]), lambda: X[torch.tensor([0, 1])],
        lambda: torch.tensor(2.0).to(DEVICE),
    ],
)  # fmt: skip
def test_each_kind_of_wait_is_found(call):
    with counted_waits() as waits:
        call()
    assert waits


@pytest.mark.parametrize(
    "call",
    [
        lambda: X * 2.0, lambda: torch.full((2,), 0.5, device=DEVICE), lambda: X[1:3, None],
        lambda: X.index_select(0, torch.zeros(2, dtype=torch.int64, device=DEVICE)),
        lambda: torch.tensor(2.0).item(),
    ],
)  # fmt: skip
def test_what_only_starts_kernels_is_no_wait(call):
    with counted_waits() as waits:
        call()
    assert waits == []


@pytest.fixture
def step(toys) -> Callable[..., Callable[[], Tensor]]:
    """A step of a solver over the guided network of a variant, whose conditions are prepared."""

    def make(variant: str, seconds: float, *, batch=1, negative=False, mask=False, loop=False):
        config = toys.tiny(variant)
        windows = plan(config.latent, seconds, loop)
        described = 1 if loop else windows.windows
        with DEVICE:
            model = backbone(config.dit).half().eval().requires_grad_(False)
            x = torch.empty(batch, config.latent.channels, windows.frames)
            tokens = torch.empty(described, config.tokens, config.dit.cond_dim).half()
        if negative:  # the predictor reads whether it is zero; that is before the first step
            cache, conditions = RunCache(), [tokens, tokens.clone()]

            def both(x: Tensor, t: Tensor) -> Tensor:
                def forward(x, t, prepared, _parts):
                    return model(x.half(), t, prepared).float()

                return predict(model, x, t, conditions, plan=windows, cache=cache, forward=forward)

            network = guided(both, (7.0,), 0.5)
        else:
            null = torch.zeros(1, described * config.tokens, config.dit.cond_dim)
            given = Conditioning(tokens.flatten(0, 1)[None], null, described)
            network = predictor(model, given, replace(config.sampling, cfg_rescale=0.5), windows)
        objective = OBJECTIVES[config.objective]
        denoiser = objective.denoiser(network)
        if mask:
            kept = torch.empty(windows.frames, device=DEVICE)
            denoiser = masked_denoiser(denoiser, x, x, kept, objective.noised)
        return lambda: denoiser(x, 0.7)

    return make


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "options",
    [
        {"seconds": 10}, {"seconds": 10, "batch": 4}, {"seconds": 60}, {"seconds": 60, "batch": 2},
        {"seconds": 10, "mask": True}, {"seconds": 24, "negative": True},
        {"seconds": 10, "negative": True, "batch": 3}, {"seconds": 24, "loop": True},
    ],
    ids=str,
)  # fmt: skip
def test_a_prepared_guided_step_waits_for_nothing(step, variant, options):
    run = step(variant, **options)
    with torch.no_grad():
        run()
        with counted_waits() as waits:
            run()
    assert waits == []
