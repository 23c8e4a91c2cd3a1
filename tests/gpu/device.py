"""The device itself: its limits, its CUDA graphs, where a run makes the host wait, its kernels."""

import platform
import time
import warnings
from collections import Counter
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from .bench import DTYPES, Bench, Row, precision

ATTENTION = "aten::_scaled_dot_product_"
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def describe(device: torch.device) -> dict[str, Any]:
    """Which machine and which versions were measured."""
    found = {"python": platform.python_version(), "torch": torch.__version__, "device": "cpu"}
    for name in ("transformers", "einops", "av"):
        try:
            found[name] = __import__(name).__version__
        except Exception as error:  # a broken package is a fact to report
            found[name] = f"none ({type(error).__name__})"
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {
            "device": properties.name,
            "memory_bytes": properties.total_memory,
            "multiprocessors": properties.multi_processor_count,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return found


def limits(bench: Bench) -> None:
    """Rates that the device reaches: matrix products, copies on it and to it."""
    size = 8192 if bench.cuda else 512
    for name in bench.every_precision:  # a case may compute in another one than what was chosen
        with bench.guard("limit", "", name, "matmul"), precision(name):
            a, b = (torch.randn(size, size, device=bench.device).to(DTYPES[name]) for _ in range(2))
            seconds = _fastest(bench, lambda a=a, b=b: a @ b)
            bench.rates[name] = 2 * size**3 / seconds
            note = f"{bench.rates[name] / 1e12:.1f} TFLOP/s"
            bench.add(Row("limit", "", name, f"matmul {size}^3", seconds, 2 * size**3, note=note))
    count = 1 << (30 if bench.cuda else 22)
    source = torch.empty(count, dtype=torch.uint8, device=bench.device).random_()
    target = torch.empty_like(source)
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "copy on the device": (lambda: target.copy_(source), 2 * count)
    }
    if bench.cuda:
        host = torch.zeros(count, dtype=torch.uint8)
        ways["copy to the device, pageable"] = (lambda: target.copy_(host), count)
        with bench.guard("limit", "", "", "pinned memory"):
            pinned = host.pin_memory()
            ways["copy to the device"] = (lambda: target.copy_(pinned), count)
    for way, (run, moved) in ways.items():
        with bench.guard("limit", "", "", way):
            seconds = _fastest(bench, run)
            bench.rates[way] = moved / seconds
            note = f"{bench.rates[way] / 1e9:.1f} GB/s"
            bench.add(Row("limit", "", "", way, seconds, note=note))


def _fastest(bench: Bench, run: Callable[[], object]) -> float:
    times = []
    for _ in range(8):
        bench.wait()
        began = time.perf_counter()
        run()
        bench.wait()
        times.append(time.perf_counter() - began)
    return median(times[2:])


class HostWaitsError(RuntimeError):
    """A run cannot be captured because the host waits for the device in it."""


def capture(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Record a run as a CUDA graph; the result replays it and returns the same output tensor.

    Raises:
        HostWaitsError: the host waits in the run, or copies pageable memory; with the places.
    """
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    if places := host_waits(run):
        raise HostWaitsError("not capturable, the host waits at " + ", ".join(places))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = run()

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay


def host_waits(run: Callable[[], object]) -> list[str]:
    """Where a run makes the host wait for the device: file, line and how often."""
    if not torch.cuda.is_available():
        return []
    torch.cuda.synchronize()
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            run()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    places = Counter(
        f"{'/'.join(w.filename.split('/')[-2:])}:{w.lineno}"
        for w in caught
        if "called a synchronizing" in str(w.message)  # not the note on the mode itself
    )
    return [f"{place} x{count}" for place, count in places.most_common()]


def profile(run: Callable[[], object], runs: int = 2) -> dict[str, Any]:
    """What one run does: host waits, copies, attention kernels, the longest kernels."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as recorded

    cuda = torch.cuda.is_available()
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda
    run()
    if cuda:
        torch.cuda.synchronize()
    with recorded(activities=activities) as found:
        for _ in range(runs):
            run()
    averages = found.key_averages()
    calls = {event.key: event.count / runs for event in averages}
    on_device = [e for e in averages if "cuda" in str(e.device_type).lower()]
    kernels = sorted(on_device, key=_device_time, reverse=True)
    total = sum(map(_device_time, kernels)) or 1
    return {
        "items": calls.get("aten::_local_scalar_dense", 0),
        "waits": {k: calls[k] for k in WAITS if k in calls},
        "copies": {k: n for k, n in calls.items() if k.startswith(("Memcpy HtoD", "Memcpy DtoH"))},
        "attention": {
            k.removeprefix(ATTENTION): n
            for k, n in calls.items()
            if k.startswith(ATTENTION) and not k.endswith("backward")
        },
        "launches": sum(n for k, n in calls.items() if "LaunchKernel" in k),
        "device_seconds": sum(map(_device_time, kernels)) / 1e6 / runs,
        "kernels": [
            (kernel.key[:90], kernel.count / runs, round(_device_time(kernel) / total, 4))
            for kernel in kernels[:12]
        ],
    }


def _device_time(event: Any) -> float:
    """Microseconds on the device; the attribute was renamed between versions of torch."""
    found = getattr(event, "self_device_time_total", None)
    return found if found is not None else getattr(event, "self_cuda_time_total", 0)
