"""Runs that end early: killed, told to stop, late, without room, or with numbers gone wrong."""

import shutil
import signal
import subprocess
import time

import pytest
import torch

from audiox_core.errors import SettingsError, WeightsError
from audiox_core.training import trainer
from audiox_core.training.run import run_job
from audiox_core.training.trainer import TrainingError

SAVED = {"run.save_every": 10}


def wait_for_step(process: subprocess.Popen, output, step: int) -> None:
    log, end = output / "log.jsonl", time.monotonic() + 120
    while not (log.exists() and log.read_text(encoding="utf-8").count("\n") >= step):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_killed_run_resumes_with_the_same_numbers(command, trained_model, tmp_path, losses):
    process = command(tmp_path, "--save-every", "10", "--steps", "50")
    wait_for_step(process, tmp_path, 23)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / "state.safetensors").exists()
    again = command(tmp_path, "--save-every", "10", "--steps", "50")
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert "step 1/50" not in out
    assert losses(tmp_path) == pytest.approx(losses(trained_model.output), rel=1e-6)


def test_a_stopped_run_saves_first(command, tmp_path, losses):
    process = command(tmp_path, "--steps", "5000")
    wait_for_step(process, tmp_path, 3)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    done = len(losses(tmp_path))
    assert f"Stopped after step {done} of 5000; the same command resumes it." in out
    assert (tmp_path / "model.safetensors").exists()


def test_a_run_in_several_parts_gives_the_same_losses(
    job, trained_vae, trained_model, tmp_path, losses
):
    for steps in (7, 20):
        made = {"run.steps": steps}
        run_job(job("diffusion", tmp_path, changes=made, vae=trained_vae.outcome.weights))
    assert losses(tmp_path) == losses(trained_model.output)[:20]


def test_a_run_ends_after_its_time_limit(job, tmp_path):
    outcome = run_job(job("vae", tmp_path, changes={"run.minutes": 1e-6}))
    assert (outcome.step, outcome.out_of_time, outcome.finished) == (1, True, False)
    assert (tmp_path / "state.safetensors").exists()


def test_a_finished_run_has_nothing_to_do(job, tmp_path, losses):
    for _ in range(2):
        outcome = run_job(job("vae", tmp_path, changes={"run.steps": 2}))
        assert (outcome.step, len(losses(tmp_path))) == (2, 2)


def test_a_run_does_not_resume_with_other_settings(job, tmp_path):
    run_job(job("vae", tmp_path, changes={"run.steps": 1}))
    with pytest.raises(SettingsError, match=r"optim\.lr was 0\.002, now 0\.1.*another --output"):
        run_job(job("vae", tmp_path, changes={"run.steps": 2, "optim.lr": 0.1}))


def test_a_damaged_state_is_named(job, tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"no state")
    with pytest.raises(WeightsError, match=r"cannot be read.*delete it"):
        run_job(job("vae", tmp_path, changes={"run.steps": 1}))


def test_an_incomplete_line_of_the_log_is_dropped(job, tmp_path, losses):
    run_job(job("vae", tmp_path, changes={"run.steps": 2}))
    with (tmp_path / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 3, "lo')
    run_job(job("vae", tmp_path, changes={"run.steps": 3}))
    assert len(losses(tmp_path)) == 3


@pytest.mark.parametrize("where", ["loss", "slope"])
def test_a_loss_or_gradient_that_is_not_finite_ends_the_run(job, tmp_path, monkeypatch, where):
    run_job(job("vae", tmp_path, changes={"run.steps": 2}))
    kept = (tmp_path / "state.safetensors").read_bytes()
    if where == "slope":
        nan = torch.tensor(float("nan"))
        monkeypatch.setattr(trainer.nn.utils, "clip_grad_norm_", lambda *_: nan)
    else:
        monkeypatch.setattr(
            "audiox_core.lab.scratch.vae_stage.l1_loss", lambda a, _: a.sum() * float("nan")
        )
    with pytest.raises(
        TrainingError, match=r"loss of step 3 is not finite.*state of step 2 is kept"
    ):
        run_job(job("vae", tmp_path, changes={"run.steps": 4}))
    assert (tmp_path / "state.safetensors").read_bytes() == kept


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


def test_two_processes_equal_one_with_the_doubled_batch(command, trained_model, tmp_path, losses):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
    process = command(tmp_path, "--batch", "4", "--steps", "10", launcher=torchrun)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert losses(tmp_path) == pytest.approx(losses(trained_model.output)[:10], rel=1e-4)


def test_accumulated_batches_equal_one_large_batch(
    job, trained_vae, trained_model, tmp_path, losses
):
    made = {"run.steps": 5, "optim.batch": 2, "optim.accumulation": 4}
    run_job(job("diffusion", tmp_path, changes=made, vae=trained_vae.outcome.weights))
    assert losses(tmp_path) == pytest.approx(losses(trained_model.output)[:5], rel=1e-4)


def test_mixed_precision_learns(job, trained_vae, trained_model, tmp_path, losses):
    made = {"run.steps": 5, "optim.precision": "bf16"}
    run_job(job("diffusion", tmp_path, changes=made, vae=trained_vae.outcome.weights))
    assert losses(tmp_path) == pytest.approx(losses(trained_model.output)[:5], rel=5e-2)
