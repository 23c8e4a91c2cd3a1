"""The processes of a run: one alone, or several that `torchrun` started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Team:
    """This process among all."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Whether it is the one that writes files and talks."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes, in each of them."""
        if self.size == 1:
            return values
        shared = values.to(self.device)
        distributed.all_reduce(shared)
        return shared / self.size

    def wait(self) -> None:
        """Until all have come here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def gathered(device: torch.device) -> Iterator[Team]:
    """The team of this process, on `device` or, of several GPUs, on its own."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "RANK" not in os.environ:
        yield Team(device=device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(distributed.get_rank(), size, device)
    finally:
        distributed.destroy_process_group()
