"""Measured lines as a table or as JSON, and the machine that they belong to."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from .timing import Line

HEADINGS = ("time", "memory", "median", "fastest", "slowest", "peak")


def machine(device: torch.device) -> dict[str, Any]:
    """What the numbers depend on beside the code."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": cores,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "torch": torch.__version__,
    }


def _processor() -> str:
    """The model's name, as the system writes it."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def header() -> str:
    """What stands above the lines: ratios to the baseline first."""
    return "".join(f"{name:>9}" for name in HEADINGS) + "  what"


def row(line: Line) -> str:
    """One line of the table; a way without ratios is its group's baseline, or the only one."""
    ratios = [line.ratio, line.memory_ratio]
    cells = ["" if ratio is None else f"{ratio:.2f} x" for ratio in ratios]
    cells += [_time(f(line.seconds)) for f in (median, min, max)]
    cells += [f"{line.peak / 1e6:.1f} MB"]
    against = "" if line.baseline is None else f" / {line.baseline}"
    return "".join(f"{cell:>9}" for cell in cells) + f"  {line.group}: {line.way}{against}"


def summary(settings: dict[str, Any], lines: Sequence[Line], device: torch.device) -> dict:
    """Everything, for JSON."""
    return {**settings, "machine": machine(device), "lines": [line.to_dict() for line in lines]}


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"
