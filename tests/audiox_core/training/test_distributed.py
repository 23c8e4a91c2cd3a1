"""One process or several: the same numbers."""

import pytest
import torch

from audiox_core.training.distributed import Distributed, start_distributed


def test_two_processes_equal_one_with_the_doubled_batch(command, trained_model, tmp_path, losses):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
    process = command(tmp_path, "--batch", "4", "--steps", "10", launcher=torchrun)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert losses(tmp_path) == pytest.approx(losses(trained_model.output)[:10], rel=1e-4)


def test_a_single_process_is_the_main_one_and_averages_nothing(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with start_distributed(torch.device("cpu")) as dist:
        assert (dist.rank, dist.size, dist.is_main) == (0, 1, True)
        values = torch.tensor([1.0, 3.0])
        assert dist.mean(values) is values
        dist.wait()  # returns at once


def test_only_the_first_process_is_the_main_one():
    assert [Distributed(rank, 2).is_main for rank in (0, 1)] == [True, False]
