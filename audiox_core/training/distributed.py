"""The processes of a run: a single one, or several that `torchrun` started."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, distributed

# Ctrl-C, and what a system, a job queue or a closed terminal sends
STOPPING = [s for s in signal.Signals if s.name in {"SIGINT", "SIGTERM", "SIGHUP"}]


@dataclass(frozen=True)
class Distributed:
    """This process among all processes of the run."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes, in each of them."""
        if self.size == 1:
            return values
        shared = values.to(self.device)
        distributed.all_reduce(shared)
        return shared / self.size

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def start_distributed(device: torch.device) -> Iterator[Distributed]:
    """Join the process group of `torchrun`, if there is one; each process takes its own GPU."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "RANK" not in os.environ:
        yield Distributed(device=device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Distributed(distributed.get_rank(), size, device)
    finally:
        distributed.destroy_process_group()
