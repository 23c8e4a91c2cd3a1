"""The state that a run resumes from."""

import shutil
import subprocess

import pytest
import torch
from torch.nn.utils import skip_init

from audiox_core.errors import SettingsError, WeightsError
from audiox_core.training.config import OptimConfig
from audiox_core.training.run import run_job
from audiox_core.training.state import State


def test_a_run_does_not_resume_with_other_settings(job, tmp_path):
    run_job(job("vae", tmp_path, changes={"run.steps": 1}))
    with pytest.raises(SettingsError, match=r"optim\.lr was 0\.002, now 0\.1.*another --output"):
        run_job(job("vae", tmp_path, changes={"run.steps": 2, "optim.lr": 0.1}))


def test_a_damaged_state_is_named(job, tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"no state")
    with pytest.raises(WeightsError, match=r"cannot be read.*delete it"):
        run_job(job("vae", tmp_path, changes={"run.steps": 1}))


def test_a_full_disk_keeps_the_older_state(job, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        run_job(job("vae", folder, changes={"run.steps": 1}))
        kept = (folder / "state.safetensors").read_bytes()
        free = shutil.disk_usage(folder).free
        (folder / "filler").write_bytes(bytes(free - len(kept) // 2))
        with pytest.raises(WeightsError, match="free some space"):
            run_job(job("vae", folder, changes={"run.steps": 2}))
        assert (folder / "state.safetensors").read_bytes() == kept
        (folder / "filler").unlink()
        assert run_job(job("vae", folder, changes={"run.steps": 2})).finished
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def new_state():
    module = skip_init(torch.nn.Linear, 2, 1)  # the global generator stays as it is
    for parameter in module.parameters():
        torch.nn.init.ones_(parameter)
    return module, State.begin(module, OptimConfig(lr=0.1), torch.device("cpu"))


def test_losses_are_averaged_since_the_last_report():
    _, state = new_state()
    state.count({"loss": 1.0}, seconds=0.5)
    state.count({"loss": 3.0}, seconds=1.5)
    assert state.take_means() == {"loss": 2.0}
    state.count({"loss": 5.0}, seconds=2.0)
    assert state.take_means() == {"loss": 5.0}
    assert (state.step, state.seconds) == (3, 2.0)


def test_a_saved_state_continues_with_the_same_numbers(tmp_path):
    def step(module, state):
        state.optimiser.zero_grad()
        module(torch.tensor([[1.0, 2.0]])).square().sum().backward()
        state.optimiser.step()
        state.count({"loss": 1.0}, seconds=1.0)

    module, state = new_state()
    step(module, state)
    state.save(tmp_path, {"lr": 0.1})
    step(module, state)
    other, loaded = new_state()
    loaded.load(tmp_path, {"lr": 0.1})
    assert loaded.step == 1
    step(other, loaded)
    assert torch.equal(other.weight, module.weight)
    assert loaded.sums == state.sums


def test_frozen_weights_are_not_part_of_the_state():
    module = skip_init(torch.nn.Linear, 2, 1)
    module.bias.requires_grad_(False)
    assert [*State.begin(module, OptimConfig(), torch.device("cpu")).weights] == ["weight"]
