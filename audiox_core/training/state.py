"""What a run needs to resume with the same numbers: one safetensors file, complete or absent.

All random numbers are made from the seed and the step (`rng.py`), so weights, their average, the
optimiser's two moments and a few numbers are enough.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from ..checkpoint.weight_file import Stored, WeightFile, open_weights
from ..checkpoint.write import write_safetensors
from ..errors import SettingsError, WeightsError, shown
from .config import MOST_STEPS, OptimConfig

NAME = "state.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq")  # of AdamW, for each weight
PROGRESS = {"step": int, "seconds": float, "sums": dict, "counted": int, "scaler": dict}
SCALER = {"scale": 1.0, "_growth_tracker": 0}  # what changes in a scaler of gradients


@dataclass
class State:
    """The weights that learn, and all that changes with them."""

    weights: dict[str, nn.Parameter]
    average: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    scaler: GradScaler
    step: int = 0  # steps that are done
    seconds: float = 0.0  # that they took, over all runs
    sums: dict[str, float] = field(default_factory=dict)  # of losses that were not logged yet
    counted: int = 0  # steps in them

    @classmethod
    def begin(cls, module: nn.Module, config: OptimConfig, device: torch.device) -> "State":
        """The state before the first step of the weights that require gradients."""
        weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
        fused = device.type in {"cpu", "cuda"}
        optimiser = torch.optim.AdamW(
            weights.values(),
            lr=config.lr,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=fused,
        )
        for p in weights.values():  # as AdamW would at the first step: no state lacks a tensor
            steps = torch.zeros((), dtype=torch.float32, device=p.device if fused else "cpu")
            moments = {name: torch.zeros_like(p, requires_grad=False) for name in MOMENTS}
            optimiser.state[p] = {"step": steps, **moments}
        fp16 = config.precision == "fp16" and device.type == "cuda"
        scaler = GradScaler(device.type, enabled=fp16)
        average = {name: p.detach().clone() for name, p in weights.items()}
        return cls(weights, average, optimiser, scaler)

    def count(self, losses: Mapping[str, float], seconds: float) -> None:
        """Count a step that is done; `seconds` are those of all steps."""
        self.step, self.seconds, self.counted = self.step + 1, seconds, self.counted + 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def take_means(self) -> dict[str, float]:
        """Mean losses since the last call."""
        means = {name: value / self.counted for name, value in self.sums.items()}
        self.sums, self.counted = {}, 0
        return means

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the state, by their names in the file."""
        found: dict[str, Tensor] = {}
        for name, parameter in self.weights.items():
            parts = {"weights": parameter.detach(), "average": self.average[name]}
            parts |= self.optimiser.state[parameter]
            found |= {f"{part}/{name}": tensor for part, tensor in parts.items()}
        return found

    def save(self, folder: Path, identity: Mapping[str, Any]) -> None:
        """Write the state. Raises WeightsError, and keeps the older state, if that fails."""
        tensors = self.tensors()
        progress = {name: getattr(self, name) for name in ("step", "seconds", "sums", "counted")}
        progress["scaler"] = {n: (SCALER | self.scaler.state_dict())[n] for n in SCALER}
        metadata = {"progress": json.dumps(progress), "identity": json.dumps(identity)}
        stored = {name: Stored(tuple(t.shape), t.dtype) for name, t in tensors.items()}
        write_safetensors(folder / NAME, stored, lambda name: tensors[name].cpu(), metadata)

    def load(self, folder: Path, identity: Mapping[str, Any]) -> None:
        """Take over the state in a folder, if there is one.

        Raises:
            SettingsError: it belongs to a run with another identity; the message names both.
            WeightsError: it is damaged, or has a tensor or a number that this run cannot have made.
        """
        if (saved := open_state(folder)) is None:
            return
        file, found, progress = saved
        tensors = self.tensors()
        try:
            _check_same(found, identity, folder)
            for name in sorted(tensors.keys() | file.tensors.keys()):
                of_file, of_run = (_described(table.get(name)) for table in (file.tensors, tensors))
                if of_file != of_run:
                    raise ValueError(f"its {name} is {of_file}, that of this run is {of_run}")
            for name, tensor in tensors.items():
                tensor.copy_(_checked(name, file.copy(name), progress["step"]))
        except (WeightsError, ValueError, RecursionError) as error:
            raise _refused(file.path, error) from error
        if scaler := self.scaler.state_dict():  # empty without fp16
            self.scaler.load_state_dict(scaler | progress.pop("scaler"))
        self.step, self.seconds = progress["step"], progress["seconds"]
        self.sums, self.counted = progress["sums"], progress["counted"]


def open_state(folder: Path) -> tuple[WeightFile, dict[str, Any], dict[str, Any]] | None:
    """The state file in a folder, its identity and its progress; None if there is no file.

    Raises:
        WeightsError: it is damaged, or has numbers that no run can have made.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        file = open_weights(path)
        identity, progress = (json.loads(file.header[name]) for name in ("identity", "progress"))
        if not isinstance(identity, dict):
            raise ValueError("its identity is not a table")
        _check_progress(progress)
    except (WeightsError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _refused(path, error) from error
    return file, identity, progress


def _refused(path: Path, error: Exception) -> WeightsError:
    why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
    return WeightsError(
        f"The state {path} cannot be read or does not fit this run ({why[:300].rstrip('.')}): "
        "delete it to start over, or use another --output."
    )


def _check_progress(progress: Mapping[str, Any]) -> None:
    """Raise ValueError for numbers that no run can have counted."""
    step, counted, sums, scaler = (progress[n] for n in ("step", "counted", "sums", "scaler"))
    possible = (
        _kinds(progress) == PROGRESS
        and {*_kinds(sums).values()} <= {float}
        and _kinds(scaler) == _kinds(SCALER)
        and 0 <= counted <= step <= MOST_STEPS
        and 0 <= progress["seconds"] < inf
        and 0 < scaler["scale"] < inf
        and 0 <= scaler["_growth_tracker"] <= step
        and bool(counted) == bool(sums)
        # the norm of a gradient is infinite now and then where fp16 is scaled
        and all(isfinite(value) for name, value in sums.items() if name != "norm")
        and all(map(str.isidentifier, sums))
    )
    if not possible:
        raise ValueError(f"its progress is {shown(progress)}")


def _kinds(table: Mapping[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in table.items()}


def _described(tensor: Tensor | Stored | None) -> str:
    return "missing" if tensor is None else f"{tuple(tensor.shape)} {tensor.dtype}"


def _checked(name: str, tensor: Tensor, steps: int) -> Tensor:
    """A tensor of the file. Raises ValueError for values that no run can have reached."""
    kind = name.partition("/")[0]
    low, high = {"step": (0, steps), "exp_avg_sq": (0, inf)}.get(kind, (-inf, inf))
    if not (tensor.isfinite() & (tensor >= low) & (tensor <= high)).all():
        raise ValueError(f"its {name} has values that are not finite or out of range")
    return tensor


def _check_same(found: Mapping[str, Any], expected: Mapping[str, Any], folder: Path) -> None:
    """Raise SettingsError if a state belongs to another run."""
    found, expected = (_flat(json.loads(json.dumps(table))) for table in (found, expected))
    names = sorted(n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n))
    if names:
        changes = [
            f"{n:.80} was {shown(found.get(n))}, now {shown(expected.get(n))}" for n in names
        ]
        raise SettingsError(
            f"{folder} holds the state of a run with other settings ({'; '.join(changes[:3])}): "
            "use the same settings to resume it, or another --output to start over."
        )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in table.items():
        name = f"{prefix}.{key}" if prefix else key
        flat |= _flat(value, name) if isinstance(value, Mapping) else {name: value}
    return flat
