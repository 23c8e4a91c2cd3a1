"""The golden format: one case is a JSON of facts beside a safetensors of numbers.

The JSON says the sizes, the seed, the tolerance; weights follow a rule of name and shape, so that
none need shipping. The families `v1` and `v2` name their random streams and fill their weights
differently: a rule each, everything else is read from the JSON.
"""

import importlib.util
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

Outputs = Mapping[str, Tensor]
ZERO_FIVE = ("Temp_pos_embedding", "empty_visual_feat", "empty_audio_feat")
ZERO_ONE = (
    "Temp_pos_embedding",
    "empty_visual_feat",
    "unified_experts",
    "cls_token",
    "pos_embed",
    "temp_embed",
)
EMBEDDINGS = ("shared.weight", "relative_attention_bias.weight", "position_embedding.weight")


@dataclass
class Case:
    """One recorded case; remembers which tensors served as inputs."""

    path: Path
    data: dict
    tensors: dict[str, Tensor]
    inputs: set[str] = field(default_factory=set)
    not_made: dict[str, str] = field(default_factory=dict)  # name -> why we have no such thing

    @property
    def name(self) -> str:
        return self.data["case"]

    @property
    def family(self) -> str:
        return self.data.get("family", "v1")

    @property
    def facts(self) -> dict:
        return self.data["facts" if self.family == "v1" else "config"]

    @property
    def seed(self) -> int:
        return self.data["seed"] if "seed" in self.data else self.facts["seed"]

    @property
    def slow(self) -> bool:
        return self.data.get("slow", False)

    @property
    def missing_packages(self) -> list[str]:
        needs = self.data.get("needs", [])
        needs = needs.split() if isinstance(needs, str) else needs
        return [name for name in needs if importlib.util.find_spec(name) is None]

    def __getitem__(self, name: str) -> Tensor:
        """An input: recorded, or (family v2) made from its own random stream."""
        if name in self.tensors:
            self.inputs.add(name)
            return self.tensors[name]
        rule = self.data["inputs"][re.sub(r"_\d+$", "_<k>", name)]
        z = self.z(f"input:{self.data['rng_case']}:{name}", rule["shape"])
        return z * float(np.float32(rule["scale"]))

    def has(self, name: str) -> bool:
        """Whether the case has such an input or recorded tensor."""
        return name in self.tensors or name in self.data.get("inputs", {})

    def recorded(self, prefix: str = "") -> list[str]:
        return [name for name in self.tensors if name.startswith(prefix)]

    def random(self, key: str) -> np.random.RandomState:
        seed = (zlib.crc32(key.encode()) + self.seed) % 2**32
        return np.random.RandomState(seed)

    def z(self, key: str, shape: Iterable[int]) -> Tensor:
        # a tensor even where the shape is empty and numpy gives a number
        z = np.asarray(self.random(key).standard_normal(tuple(shape)), dtype=np.float32)
        return torch.from_numpy(z)

    def weights(self, shapes: Mapping[str, Iterable[int]], prefix: str = "") -> dict[str, Tensor]:
        """Weights by the family's rule, for released names; `prefix` counts in the key."""
        rule = RULES[self.family]
        return {
            name: rule(self.z(prefix + name, shape), prefix + name)
            for name, shape in shapes.items()
        }


def _weight_v1(z: Tensor, key: str) -> Tensor:
    last = key.rpartition(".")[2]
    if last in ZERO_FIVE or key.endswith(EMBEDDINGS):
        return 0.5 * z
    if last == "weight_g":
        return 0.6 + 0.1 * z
    if z.ndim >= 2:
        return z * _fan_in(z)
    if last == "gamma" or (last == "weight" and "norm" in key):
        return 1 + 0.1 * z
    return 0.1 * z


def _weight_v2(z: Tensor, key: str) -> Tensor:
    last = key.rpartition(".")[2]
    if z.ndim == 0:
        return 0.5 + 0.1 * z
    if last in ZERO_ONE:
        return 0.1 * z
    if z.ndim >= 2:
        return z * _fan_in(z)
    return 1 + 0.1 * z if last in {"weight", "gamma"} else 0.1 * z


def _fan_in(z: Tensor) -> float:
    return float(np.float32(1 / np.sqrt(np.prod(z.shape[1:]))))


RULES = {"v1": _weight_v1, "v2": _weight_v2}


@dataclass(frozen=True)
class Difference:
    """How one output differs from the recorded one."""

    name: str
    error: float  # largest absolute one
    relative: float  # the same in standard deviations of the recorded output
    allowed: float

    @property
    def passed(self) -> bool:
        return self.error <= self.allowed  # False for NaN as well

    @property
    def share(self) -> float:
        """Of what is allowed; the largest decides which tensor is reported."""
        return self.error / self.allowed if self.allowed else (0.0 if self.passed else float("inf"))


def read_case(path: Path) -> Case:
    tensors_path = path.with_suffix(".safetensors")
    tensors = load_file(tensors_path) if tensors_path.is_file() else {}
    return Case(path, json.loads(path.read_text(encoding="utf-8")), tensors)


def find_cases(folder: Path, only: str = "*") -> list[Path]:
    files = sorted(path for path in folder.glob("*.json") if not path.stem.endswith(".keys"))
    return [path for path in files if fnmatch(path.stem, only)]


def compare(case: Case, outputs: Outputs) -> list[Difference]:
    """Compare every recorded tensor; an adapter may compute more than a case recorded.

    Raises:
        AssertionError: a recorded tensor is no input, no output, and not named as not made; or
            none is left to compare.
    """
    expected = case.tensors.keys() - case.inputs - case.not_made.keys()
    if missing := expected - outputs.keys():
        raise AssertionError(f"recorded and not computed: {sorted(missing)}")
    if not expected:
        raise AssertionError("the case records nothing to compare with")
    return [_difference(case, name, outputs[name]) for name in sorted(expected)]


def _difference(case: Case, name: str, ours: Tensor) -> Difference:
    recorded = case.tensors[name]
    if ours.shape != recorded.shape:
        raise AssertionError(f"{name} is {tuple(ours.shape)}, recorded {tuple(recorded.shape)}")
    if not recorded.is_floating_point():
        error = (ours.long() - recorded.long()).abs().max().item()
        return Difference(name, error, error, case.facts.get("integer_tolerance", 0))
    if name in case.data.get("row_wise", []):
        rows = [_float_difference(case, name, a, b) for a, b in zip(ours, recorded, strict=True)]
        return max(rows, key=lambda row: row.share)
    return _float_difference(case, name, ours, recorded)


def _float_difference(case: Case, name: str, ours: Tensor, recorded: Tensor) -> Difference:
    ours, recorded = ours.double(), recorded.double()
    errors = (ours - recorded).abs()
    std = recorded.std().item() if recorded.numel() > 1 else 0.0
    relative = errors.max().item() / std if std else errors.max().item()
    if (rule := case.data.get("relative", {}).get(name)) is not None:
        allowed = rule["rtol"] * recorded.abs() + rule["atol"]
        worst = (errors / allowed).nan_to_num(float("inf")).argmax()
        return Difference(
            name, errors.flatten()[worst].item(), relative, allowed.flatten()[worst].item()
        )
    rule = case.data["tolerance"]
    allowed = rule["atol"] + rule["rtol_of_std"] * std
    return Difference(name, errors.max().item(), relative, allowed)


Adapter = Callable[[Case], Outputs]
ADAPTERS: dict[str, Adapter] = {}  # pattern of the case's name -> how to compute its outputs


def adapter(pattern: str) -> Callable[[Adapter], Adapter]:
    """Register a function for all cases whose name matches."""

    def register(function: Adapter) -> Adapter:
        ADAPTERS[pattern] = function
        return function

    return register


def pattern_for(name: str) -> str | None:
    """The most specific pattern of an adapter that matches a case's name."""
    return max((p for p in ADAPTERS if fnmatch(name, p)), key=len, default=None)


def adapter_for(case: Case) -> Adapter | None:
    pattern = pattern_for(case.name)
    return None if pattern is None else ADAPTERS[pattern]


def adapters_without_case(names: Iterable[str]) -> list[str]:
    """Patterns of the adapters that none of the named cases uses."""
    return sorted(ADAPTERS.keys() - {pattern_for(name) for name in names})
