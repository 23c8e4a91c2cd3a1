"""The training loop: interrupts, its log, losses that are not finite, accumulation, precision."""

import signal
import subprocess
import time

import pytest
import torch

from audiox_core.training import trainer
from audiox_core.training.run import run_job
from audiox_core.training.trainer import Outcome, Report, TrainingError

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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_run_saves_first(command, tmp_path, losses, number):
    process = command(tmp_path, "--steps", "5000")
    wait_for_step(process, tmp_path, 3)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    done = len(losses(tmp_path))
    assert f"Stopped after step {done} of 5000; run the same command to continue." in out
    assert (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize(
    "line",
    ['{"step": 3, "lo', "[1]", '{"step": "2"}', '{"step": 2, "loss": NaN}', "[" * 9_999, "\udcff"],
)
def test_a_line_of_the_log_that_no_run_wrote_is_dropped(job, tmp_path, losses, line):
    run_job(job("vae", tmp_path, changes={"run.steps": 2}))
    with (tmp_path / "log.jsonl").open("a", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"{line}\n")
    run_job(job("vae", tmp_path, changes={"run.steps": 3}))
    assert len(losses(tmp_path)) == 3


def names_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_run_that_is_stopped_while_workers_prepare_clips_leaves_nothing(
    command, tmp_path, number
):
    cache = tmp_path / "cache"
    process = command(tmp_path / "run", "--cache", cache, "--clips", "128", "--workers", "2")
    end = time.monotonic() + 120
    while not [name for name in names_in(cache) if name.endswith(".lock")]:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)  # also until no worker holds the pipes
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in err
    assert all(name.endswith(".safetensors") and name[0] != "." for name in names_in(cache)), out


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
            "audiox_core.lab.from_scratch.vae_stage.l1_loss", lambda a, _: a.sum() * float("nan")
        )
    with pytest.raises(
        TrainingError, match=r"loss of step 3 is not finite.*state of step 2 is kept"
    ):
        run_job(job("vae", tmp_path, changes={"run.steps": 4}))
    assert (tmp_path / "state.safetensors").read_bytes() == kept


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


def test_a_report_is_one_line_with_losses_rate_and_time_left():
    report = Report(5, 10, {"loss": 0.51234}, lr=1e-4, per_second=2.0, seconds_left=3_725.4)
    assert str(report) == ("step 5/10  loss 0.5123  lr 1.00e-04  2.00 steps/s  1:02:05 left")


def test_a_run_is_finished_when_all_steps_are_done():
    assert Outcome(10, 10, None).finished
    assert not Outcome(9, 10, None, out_of_time=True).finished
