"""What a run needs to resume with the same numbers: one safetensors file, complete or absent.

All random numbers are made from the seed and the step (`rng.py`), so weights, their average, the
optimiser's two moments and a few numbers are enough.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from ..checkpoint.weight_file import Stored
from ..checkpoint.write import write_safetensors
from ..errors import SettingsError, WeightsError
from .config import OptimConfig

NAME = "state.safetensors"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW, for each weight


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
        optimiser = torch.optim.AdamW(
            weights.values(),
            lr=config.lr,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=device.type in {"cpu", "cuda"},
        )
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

    def save(self, folder: Path, identity: Mapping[str, Any]) -> None:
        """Write the state. Raises WeightsError, and keeps the older state, if that fails."""
        tensors = {f"weights/{name}": tensor.detach() for name, tensor in self.weights.items()}
        tensors |= {f"average/{name}": tensor for name, tensor in self.average.items()}
        for name, parameter in self.weights.items():
            for moment in MOMENTS if parameter in self.optimiser.state else ():
                tensors[f"{moment}/{name}"] = self.optimiser.state[parameter][moment]
        progress = {name: getattr(self, name) for name in ("step", "seconds", "sums", "counted")}
        progress["scaler"] = self.scaler.state_dict()
        metadata = {"progress": json.dumps(progress), "identity": json.dumps(identity)}
        stored = {name: Stored(tuple(t.shape), t.dtype) for name, t in tensors.items()}
        write_safetensors(folder / NAME, stored, lambda name: tensors[name].cpu(), metadata)

    def load(self, folder: Path, identity: Mapping[str, Any]) -> None:
        """Take over the state in a folder, if there is one.

        Raises:
            SettingsError: it belongs to a run with another identity; the message names both.
            WeightsError: it is damaged.
        """
        path = folder / NAME
        if not path.exists():
            return
        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata()
                _check_same(json.loads(header["identity"]), identity, folder)
                progress = json.loads(header["progress"])
                self.scaler.load_state_dict(progress["scaler"])
                self.step, self.seconds = progress["step"], progress["seconds"]
                self.sums, self.counted = progress["sums"], progress["counted"]
                with torch.no_grad():
                    known = set(file.keys())
                    for name, parameter in self.weights.items():
                        parameter.copy_(file.get_tensor(f"weights/{name}"))
                        self.average[name].copy_(file.get_tensor(f"average/{name}"))
                        for moment in MOMENTS if f"{MOMENTS[0]}/{name}" in known else ():
                            tensor = file.get_tensor(f"{moment}/{name}").clone()
                            on = "cpu" if moment == "step" else parameter.device
                            self.optimiser.state[parameter][moment] = tensor.to(on)
        except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise WeightsError(
                f"The state {path} cannot be read ({str(error)[:120]}): delete it to start over."
            ) from error


def _check_same(found: Mapping[str, Any], expected: Mapping[str, Any], folder: Path) -> None:
    """Raise SettingsError if a state belongs to another run."""
    found, expected = (_flat(json.loads(json.dumps(table))) for table in (found, expected))
    names = sorted(n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n))
    if names:
        shown = "; ".join(f"{n} was {found.get(n)}, now {expected.get(n)}" for n in names[:3])
        raise SettingsError(
            f"{folder} holds the state of a run with other settings ({shown}): use the same "
            "settings to resume it, or another --output to start over."
        )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in table.items():
        name = f"{prefix}.{key}" if prefix else key
        flat |= _flat(value, name) if isinstance(value, Mapping) else {name: value}
    return flat
