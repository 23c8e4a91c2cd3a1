"""What a killed run needs to go on with the same numbers: one safetensors file, whole or not there.

All chance is made from the seed and the step (`chance.py`), so that weights, their average, the
optimiser's two moments and a few numbers are all there is to keep.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..checkpoint.weight_file import Stored
from ..checkpoint.write import write_safetensors
from ..errors import SettingsError, WeightsError

NAME = "state.safetensors"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW, for each weight


@dataclass
class Progress:
    """The numbers beside the tensors."""

    step: int = 0  # steps that are done
    seconds: float = 0.0  # that they took, over all runs
    sums: dict[str, float] = field(default_factory=dict)  # of what was not logged yet
    counted: int = 0  # steps in them
    scaler: dict[str, Any] = field(default_factory=dict)  # of fp16


def save_state(
    folder: Path, weights: Mapping[str, nn.Parameter], average: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer, *, progress: Progress, identity: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write the state. Raises WeightsError, and leaves the state before it, where that fails."""
    tensors = {f"weights/{name}": tensor.detach() for name, tensor in weights.items()}
    tensors |= {f"average/{name}": tensor for name, tensor in average.items()}
    for name, parameter in weights.items():
        for moment in MOMENTS if parameter in optimiser.state else ():
            tensors[f"{moment}/{name}"] = optimiser.state[parameter][moment]
    metadata = {"progress": json.dumps(vars(progress)), "identity": json.dumps(identity)}
    stored = {name: Stored(tuple(t.shape), t.dtype) for name, t in tensors.items()}
    write_safetensors(folder / NAME, stored, lambda name: tensors[name].cpu(), metadata)


def load_state(
    folder: Path, weights: Mapping[str, nn.Parameter], average: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer, identity: Mapping[str, Any],
) -> Progress | None:  # fmt: skip
    """Take up the state in a folder; None where there is none.

    Raises:
        SettingsError: it is of a run with other settings; the message names them.
        WeightsError: it is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata()
            _check_same(json.loads(header["identity"]), identity, folder)
            progress = Progress(**json.loads(header["progress"]))
            with torch.no_grad():
                for name, parameter in weights.items():
                    parameter.copy_(file.get_tensor(f"weights/{name}"))
                    average[name].copy_(file.get_tensor(f"average/{name}"))
            known = set(file.keys())
            for name, parameter in weights.items():
                if f"{MOMENTS[0]}/{name}" in known:
                    moments = {m: file.get_tensor(f"{m}/{name}").clone() for m in MOMENTS}
                    optimiser.state[parameter] = {
                        m: t if m == "step" else t.to(parameter.device) for m, t in moments.items()
                    }
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise WeightsError(
            f"The state {path} cannot be taken up ({str(error)[:120]}): delete it to begin again."
        ) from error
    return progress


def _check_same(found: Mapping[str, Any], wanted: Mapping[str, Any], folder: Path) -> None:
    """Raise SettingsError where a state is of another run."""
    found, wanted = (_flat(json.loads(json.dumps(table))) for table in (found, wanted))
    names = sorted(n for n in found.keys() | wanted.keys() if found.get(n) != wanted.get(n))
    if names:
        shown = "; ".join(f"{n} was {found.get(n)}, now {wanted.get(n)}" for n in names[:3])
        raise SettingsError(
            f"{folder} holds the state of a run with other settings ({shown}): take the same "
            "settings to go on, or another --output to begin anew."
        )


def _flat(table: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in table.items():
        name = f"{where}.{key}" if where else key
        flat |= _flat(value, name) if isinstance(value, Mapping) else {name: value}
    return flat
