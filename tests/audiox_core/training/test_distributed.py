"""One process or several: the same numbers."""

import socket
import subprocess
from contextlib import suppress

import pytest
import torch

from audiox_core.training.distributed import Distributed, start_distributed


def two_nodes() -> list[tuple[str, ...]]:
    """The launchers of two nodes on this machine, with one process each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = ("--master-addr", "127.0.0.1", "--master-port", port, "--nproc-per-node", "1", "-m")
    run = ("-m", "torch.distributed.run", "--nnodes", "2", "--node-rank")
    return [(*run, rank, *common) for rank in ("0", "1")]


def ended(nodes: list[subprocess.Popen], errors: list[str]) -> bool:
    """Whether all nodes end in time; what they wrote to stderr is added to `errors`.

    Of many runs one was seen whose nodes had trained, and whose launchers did not end.
    """
    try:
        errors += [node.communicate(timeout=100)[1] for node in nodes]
    except subprocess.TimeoutExpired:
        for node in nodes:
            node.terminate()  # torchrun ends its process, too
        for node in nodes:
            with suppress(subprocess.TimeoutExpired):
                node.communicate(timeout=30)
            node.kill()
        return False
    return True


def test_two_nodes_equal_one_process_with_the_doubled_batch(
    command, trained_model, tmp_path, losses
):
    for output in (tmp_path / "first", tmp_path / "second"):
        errors: list[str] = []
        nodes = [command(output, "--batch", "4", "--steps", "10", launcher=n) for n in two_nodes()]
        if ended(nodes, errors):
            break
    assert [node.returncode for node in nodes] == [0, 0], errors
    assert losses(output) == pytest.approx(losses(trained_model.output)[:10], rel=1e-4)


def test_a_single_process_is_the_main_one_and_averages_nothing(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with start_distributed(torch.device("cpu")) as dist:
        assert (dist.rank, dist.size, dist.is_main) == (0, 1, True)
        values = torch.tensor([1.0, 3.0])
        assert dist.mean(values) is values
        dist.wait()  # returns at once


def test_only_the_first_process_is_the_main_one():
    assert [Distributed(rank, 2).is_main for rank in (0, 1)] == [True, False]
