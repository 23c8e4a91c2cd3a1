"""Peak memory counted from the tensors that are alive."""

import torch

from audiox_core.lab.bench.memory import peak_bytes


def test_memory_counts_the_tensors_that_are_alive():
    x = torch.zeros(1_000)  # from outside: not counted, nor are views and writes in place

    def run():
        y = x + 1  # 4 kB
        y = y * 2  # 8 kB, then 4
        y.view(10, 100).mul_(3)
        x[:10].add_(1)
        return torch.cat([y, y])  # 12 kB

    assert peak_bytes(run) == 12_000
