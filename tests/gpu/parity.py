"""The golden cases that have a network, computed on the device in several precisions.

In float32 without TF32 each case's own tolerance decides; in the others the largest error is
reported in standard deviations of the recorded output.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatch
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor

from audiox_core.models.layers import FourierFeatures

from ..parity import sync, training, v1, v2  # noqa: F401 (they register the adapters)
from ..parity.fixtures import Case, adapter_for, compare, find_cases, read_case
from .bench import DTYPES, Bench, Row, precision
from .models import in_dtype

GOLDEN = Path(__file__).parents[1] / "golden"
NETWORKS = (
    "v1_dit_*", "mmdit_backbone_*", "mmdit_fullwidth_*", "v1_vae_*", "maf_dit_*", "maf_block_*",
    "sync_synchformer_*", "v1_video_tail_*", "sync_video_*", "v1_sa_transformer*", "mmdit_block_*",
    "turbo_e2e_*", "v1_e2e", "v1_audio_cond", "v1_video_pixels_*", "v1_t5",
)  # fmt: skip
Drawn = dict[tuple[str, tuple[int, ...]], Tensor]
v1_filled = v1.filled


def run(bench: Bench, seconds: float = 75) -> None:
    """All network cases, as far as the time goes."""
    names = [path for path in find_cases(GOLDEN) if _rank(path.stem) < len(NETWORKS)]
    if bench.toy:
        names = [path for path in names if "tiny" in path.stem and "sync" not in path.stem]
    stop_at = bench.left - seconds
    for path in sorted(names, key=lambda path: _rank(path.stem)):
        if read_case(path).slow:
            continue
        if bench.left < max(stop_at, 0):
            bench.add(Row("parity", path.stem, note="not run: its share of the time was spent"))
            continue
        drawn: Drawn = {}
        for name in bench.precisions[::-1]:
            with bench.guard("parity", path.stem, name, ""), precision(name):
                bench.add(_compare(path, name, bench.device, drawn))


def _rank(name: str) -> int:
    return next((i for i, pattern in enumerate(NETWORKS) if fnmatch(name, pattern)), len(NETWORKS))


def _compare(path: Path, name: str, device: torch.device, drawn: Drawn) -> Row:
    read = read_case(path)
    case = DeviceCase(read.path, read.data, read.tensors)
    case.device, case.dtype, case.drawn = device, DTYPES[name], drawn
    adapter = adapter_for(case)
    if adapter is None:
        raise LookupError("no adapter for this case")
    with torch.no_grad(), adapters_in(case.dtype, device), device:
        outputs = {key: tensor.cpu() for key, tensor in adapter(case).items()}
    case.tensors = {key: tensor.cpu() for key, tensor in case.tensors.items()}
    differences = compare(case, outputs)
    worst = max(differences, key=lambda difference: difference.relative)
    note = f"{worst.relative:.1e} std in {worst.name}"
    data = {"relative": worst.relative, "tensor": worst.name, "tensors": len(differences)}
    if name == "float32":
        passed = all(difference.passed for difference in differences)
        failed = [difference.name for difference in differences if not difference.passed]
        data["passed"] = passed
        note += ", within tolerance" if passed else f", NOT within tolerance: {failed[0]}"
    return Row("parity", path.stem, name, note=note, data=data)


class DeviceCase(Case):
    """A case whose inputs and weights are on a device, in a dtype."""

    device = torch.device("cpu")
    dtype = torch.float32
    drawn: Drawn  # numbers that were drawn for the same case in another precision

    def __getitem__(self, name: str) -> Tensor:
        tensor = super().__getitem__(name).to(self.device)
        keep = name == "t" or not tensor.is_floating_point()  # times stay float32
        return tensor if keep else tensor.to(self.dtype)

    def z(self, key: str, shape) -> Tensor:
        shape = tuple(shape)
        if (key, shape) not in self.drawn:
            self.drawn[key, shape] = super().z(key, shape).to(self.device)
        return self.drawn[key, shape].to(self.dtype)


@contextmanager
def adapters_in(dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Within it the adapters' modules compute in `dtype` on a device.

    The frequencies of time stay float32.
    """
    features = FourierFeatures.forward

    def cast(module: torch.nn.Module, state: dict[str, Tensor]) -> torch.nn.Module:
        # the positions of CLIP's patches are no weights and were made on the CPU
        return in_dtype(v1_filled(module, state), dtype).to(device)

    def forward(self: FourierFeatures, t: Tensor) -> Tensor:
        return features(self, t).to(dtype)

    with ExitStack() as stack:
        if dtype != torch.float32:
            stack.enter_context(patch.object(FourierFeatures, "forward", forward))
        for module in (v1, v2, sync):
            stack.enter_context(patch.object(module, "filled", cast))
        yield
