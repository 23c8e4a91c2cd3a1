"""The guided network as a CUDA graph, or compiled by torch. Both take time before they save any.

A CUDA graph starts all kernels of a step at once: on an H100 a step of AudioX v1 takes 5 ms instead
of 20 ms. Where one of the two does not work, the run goes on without it, and the log says why.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ..diffusion.objectives import Predict
from ..errors import SettingsError, is_out_of_memory
from ..limits import ACCELERATIONS
from ..models import Backbone

logger = logging.getLogger(__name__)

Record = Callable[[Callable[[], Tensor], torch.device], Callable[[], Tensor]]
# a run and its device -> what repeats it

_RECORDING = threading.Lock()


@contextmanager
def accelerated(backbone: Backbone, predict: Predict, kind: str = "off") -> Iterator[Predict]:
    """Accelerate the network of a run.

    Args:
        backbone: of the model.
        predict: the guided network that calls it.
        kind: "graph" records a CUDA graph, "compile" compiles the blocks, "off" does neither.

    Raises:
        SettingsError: an unknown kind.
    """
    if kind not in ACCELERATIONS:
        names = ", ".join(ACCELERATIONS)
        raise SettingsError(f"The acceleration is {kind!r}: choose one of {names}.")
    device = backbone.transformer.project_in.weight.device
    if kind == "graph" and device.type != "cuda":
        logger.warning("CUDA graphs need a CUDA device, this is %s: running without.", device.type)
        kind = "off"
    if kind == "compile":
        with compiled_blocks(backbone) as compiled:
            yield _reported(predict, backbone) if compiled else predict
    else:
        yield GraphedPredict(predict) if kind == "graph" else predict


class GraphedPredict:
    """A network of fixed shapes that is recorded once and then repeated.

    The first call prepares the conditions and the libraries, the second one checks that the host
    waits for nothing, which no graph can hold, and records. The graph reads and writes the same
    memory at every call, so inputs are copied there, and results from there.
    """

    def __init__(self, predict: Predict, record: Record | None = None) -> None:
        """Wrap the network of a run.

        Args:
            predict: noisy `b c t` and times `b` -> prediction `b c t`.
            record: records a call; the default makes a CUDA graph.
        """
        self._predict, self._record = predict, record or record_graph
        self._calls = 0
        self._inputs: Sequence[Tensor] = ()  # static, as the graph reads them
        self._replay: Callable[[], Tensor] | None = None

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Predict, from the second call on with the graph where the shapes are the same."""
        self._calls += 1
        if self._calls == 2:
            self._begin(x, t)
        if self._replay is None or not self._fits(x, t):
            return self._predict(x, t)
        for static, given in zip(self._inputs, (x, t), strict=True):
            static.copy_(given)
        return self._replay().clone()

    def _fits(self, *given: Tensor) -> bool:
        return [t.shape for t in given] == [t.shape for t in self._inputs]

    def _begin(self, x: Tensor, t: Tensor) -> None:
        began = time.perf_counter()
        self._inputs = x.clone(), t.clone()
        try:
            self._replay = self._record(lambda: self._predict(*self._inputs), x.device)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            logger.warning("No CUDA graph was recorded (%s): running without.", _first_line(error))
            return
        logger.info("Recording the CUDA graph took %.2f s.", time.perf_counter() - began)


def record_graph(run: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    """Record a CUDA graph of a call; the result repeats it and returns the same tensor again.

    One thread records at a time. While it looks for waits, PyTorch's sync debug mode is "error" in
    the whole process: another thread that waits for a GPU in that moment fails.

    Args:
        run: the call.
        device: that it computes on, which need not be the current one.

    Raises:
        RuntimeError: the host waits for the device in it.
    """
    with _RECORDING, torch.cuda.device(device):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        before = torch.cuda.get_sync_debug_mode()
        with torch.cuda.stream(side):
            torch.cuda.set_sync_debug_mode("error")  # else a wait would break the recording itself
            try:
                run()
            finally:
                torch.cuda.set_sync_debug_mode(before)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # other threads may use the GPU meanwhile
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            out = run()

    def replay() -> Tensor:
        with torch.cuda.device(device):
            graph.replay()
        return out

    return replay


@contextmanager
def compiled_blocks(backbone: Backbone) -> Iterator[bool]:
    """Within it the blocks run compiled; as they are alike, one compilation serves all.

    Gives False where torch cannot compile at all, and the blocks stay as they are.
    """
    compiled = True
    try:
        for layer in backbone.transformer.layers:
            layer.compile(dynamic=False)
    except Exception as error:  # such as a Python that this PyTorch cannot compile for
        _uncompile(backbone)
        if is_out_of_memory(error):
            raise
        logger.warning("torch.compile failed (%s): running without.", _first_line(error))
        compiled = False
    try:
        yield compiled
    finally:
        _uncompile(backbone)


def _uncompile(backbone: Backbone) -> None:
    for layer in backbone.transformer.layers:
        layer._compiled_call_impl = None  # what `compile` sets; torch has no inverse


def _reported(predict: Predict, backbone: Backbone) -> Predict:
    """Log what the first call took; if it fails, go on without compilation."""
    seconds: list[float] = []

    def run(x: Tensor, t: Tensor) -> Tensor:
        if seconds:
            return predict(x, t)
        began = time.perf_counter()
        try:
            made = predict(x, t)
            logger.info("The first step, with compiling, took %.1f s.", time.perf_counter() - began)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            logger.warning("torch.compile failed (%s): running without.", _first_line(error))
            _uncompile(backbone)
            made = predict(x, t)
        seconds.append(time.perf_counter() - began)
        return made

    return run


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")
