"""The state that a run resumes from."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.amp.grad_scaler import GradScaler
from torch.nn.utils import skip_init

from audiox_core.errors import SettingsError, WeightsError
from audiox_core.training.config import OptimConfig
from audiox_core.training.run import run_job
from audiox_core.training.state import SCALER, State, open_state


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


def step(module, state):
    state.optimiser.zero_grad()
    module(torch.tensor([[1.0, 2.0]])).square().sum().backward()
    state.optimiser.step()
    state.count({"loss": 1.0}, seconds=1.0)


def saved(folder):
    """A state that was saved after one step."""
    module, state = new_state()
    step(module, state)
    state.save(folder, {"lr": 0.1})
    return module, state


def test_a_saved_state_continues_with_the_same_numbers(tmp_path):
    module, state = saved(tmp_path)
    step(module, state)
    other, loaded = new_state()
    loaded.load(tmp_path, {"lr": 0.1})
    assert loaded.step == 1
    step(other, loaded)
    assert torch.equal(other.weight, module.weight)
    assert loaded.sums == state.sums


def set_number(name, value):
    """Change a number of the progress."""

    def damage(tensors, header):
        progress = json.loads(header["progress"])
        header["progress"] = json.dumps(progress | {name: value})

    return damage


def set_tensor(name, change):
    """Change a tensor."""

    def damage(tensors, header):
        tensors[name] = change(tensors[name])

    return damage


def set_header(name, text):
    """Change an entry of the header; None removes it."""

    def damage(tensors, header):
        header.pop(name)
        if text is not None:
            header[name] = text

    return damage


def without_moments(tensors, header):
    for name in [name for name in tensors if name.startswith("exp_avg")]:
        del tensors[name]


def of_another_model(tensors, header):
    for name in [*tensors]:
        tensors[name.replace("weight", "other")] = tensors.pop(name)


DAMAGES = {
    "a moment of another shape": (set_tensor("exp_avg/weight", torch.flatten), "exp_avg/weight is"),
    "a larger moment": (set_tensor("exp_avg_sq/weight", lambda x: x.repeat(9, 9)), "exp_avg_sq/w"),
    "a moment of another type": (set_tensor("exp_avg/bias", torch.Tensor.half), "float16, that of"),
    "a counter of another shape": (set_tensor("step/bias", lambda x: x.expand(7).clone()), "step/"),
    "a counter of another type": (set_tensor("step/bias", torch.Tensor.long), "step/bias is"),
    "a negative counter": (set_tensor("step/bias", torch.neg), "step/bias has values"),
    "a counter beyond the run": (set_tensor("step/bias", lambda x: x + 9), "step/bias has values"),
    "NaN in the weights": (set_tensor("weights/bias", lambda x: x * torch.nan), "weights/bias has"),
    "infinity in the average": (set_tensor("average/bias", lambda x: x / 0), "average/bias has"),
    "a negative square": (set_tensor("exp_avg_sq/bias", lambda x: -1 - x), "exp_avg_sq/bias has"),
    "no moments": (without_moments, r"exp_avg/bias is missing, that of this run is \(1,\)"),
    "an unknown tensor": (lambda t, _: t.update(more=torch.zeros(3)), "more is .* is missing"),
    "another model's tensors": (of_another_model, "average/other is .* of this run is missing"),
    "a negative step": (set_number("step", -1), "its progress is"),
    "a step that is no number": (set_number("step", "1"), "its progress is"),
    "half a step": (set_number("step", 1.5), "its progress is"),
    "a step that is true": (set_number("step", True), "its progress is"),
    "a step beyond all runs": (set_number("step", 10**30), "its progress is"),
    "NaN seconds": (set_number("seconds", float("nan")), "its progress is"),
    "negative seconds": (set_number("seconds", -1.0), "its progress is"),
    "more losses than steps": (set_number("counted", 5), "its progress is"),
    "losses of no step": (set_number("counted", 0), "its progress is"),
    "a loss that is a text": (set_number("sums", {"loss": "low"}), "its progress is"),
    "a loss that is NaN": (set_number("sums", {"loss": float("nan")}), "its progress is"),
    "a loss with a strange name": (set_number("sums", {"\x1b[31m": 1.0}), "its progress is"),
    "losses in a list": (set_number("sums", [1.0]), "its progress is"),
    "a scaler in a list": (set_number("scaler", []), "its progress is"),
    "no scaler": (set_number("scaler", {}), "its progress is"),
    "a scale of 0": (set_number("scaler", SCALER | {"scale": 0.0}), "its progress is"),
    "a scale that is NaN": (set_number("scaler", SCALER | {"scale": torch.nan}), "its progress is"),
    "a scale that is a text": (set_number("scaler", SCALER | {"scale": "1"}), "its progress is"),
    "a tracker below 0": (set_number("scaler", SCALER | {"_growth_tracker": -1}), "its progress"),
    "more of a scaler": (set_number("scaler", SCALER | {"more": 1}), "its progress is"),
    "an unknown number": (set_number("more", 1), "its progress is"),
    "no progress": (set_header("progress", None), "it lacks 'progress'"),
    "progress that is not JSON": (set_header("progress", "{"), "cannot be read"),
    "progress in a list": (set_header("progress", "[1]"), "cannot be read"),
    "progress that is nested deeply": (set_header("progress", "[" * 100_000), "cannot be read"),
    "progress of a huge number": (set_header("progress", "9" * 10_000), "cannot be read"),
    "no identity": (set_header("identity", None), "it lacks 'identity'"),
    "an identity in a list": (set_header("identity", "[]"), "identity is not a table"),
    "a deep identity": (set_header("identity", '{"a":' * 900 + "1" + "}" * 900), "cannot be|other"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_state_that_the_run_cannot_have_made_is_refused_in_one_line(tmp_path, kind):
    damage, said = DAMAGES[kind]
    saved(tmp_path)
    path = tmp_path / "state.safetensors"
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    damage(tensors, header)
    save_file(tensors, path, header)
    with pytest.raises((WeightsError, SettingsError), match=said) as caught:
        new_state()[1].load(tmp_path, {"lr": 0.1})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 800 + len(str(tmp_path))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_state_that_was_cut_is_refused(tmp_path, share):
    saved(tmp_path)
    path = tmp_path / "state.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=r"cannot be read.*delete it to start over"):
        new_state()[1].load(tmp_path, {"lr": 0.1})


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_state_that_is_no_file_is_refused(tmp_path, make):
    make(tmp_path / "state.safetensors")
    with pytest.raises(WeightsError, match="cannot be read"):
        open_state(tmp_path)


def test_the_state_of_another_model_is_refused(job, tmp_path, trained_vae):
    shutil.copy(trained_vae.outcome.weights, tmp_path / "state.safetensors")
    with pytest.raises(WeightsError, match="it lacks 'identity'"):
        run_job(job("vae", tmp_path, changes={"run.steps": 1}))


def test_a_damaged_state_is_refused_before_clips_are_prepared(job, tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"no state")
    cache = tmp_path / "cache"
    with pytest.raises(WeightsError, match="cannot be read"):
        run_job(job("vae", tmp_path, changes={"run.steps": 1, "data.cache": str(cache)}))
    assert not cache.exists()


def test_a_state_holds_every_tensor_before_the_first_step(tmp_path):
    _, state = new_state()
    state.save(tmp_path, {})
    assert {name.partition("/")[0] for name in load_file(tmp_path / "state.safetensors")} == {
        "weights", "average", "step", "exp_avg", "exp_avg_sq"
    }  # fmt: skip


def test_a_scaler_of_fp16_continues(tmp_path):
    _, state = new_state()
    state.scaler = GradScaler("cpu", init_scale=64.0)
    state.save(tmp_path, {})
    _, other = new_state()
    other.scaler = GradScaler("cpu", init_scale=2.0)
    other.load(tmp_path, {})
    assert other.scaler.get_scale() == 64.0


def test_frozen_weights_are_not_part_of_the_state():
    module = skip_init(torch.nn.Linear, 2, 1)
    module.bias.requires_grad_(False)
    assert [*State.begin(module, OptimConfig(), torch.device("cpu")).weights] == ["weight"]
