"""Whole runs: their length, their parts, and what they start from."""

import pytest

from audiox_core.checkpoint.checkpoint_file import EMBEDDED
from audiox_core.checkpoint.layout import DIT
from audiox_core.errors import SettingsError
from audiox_core.training.run import holds, run_job


def test_a_run_ends_after_its_time_limit(job, tmp_path):
    outcome = run_job(job("vae", tmp_path, changes={"run.minutes": 1e-6}))
    assert (outcome.step, outcome.out_of_time, outcome.finished) == (1, True, False)
    assert (tmp_path / "state.safetensors").exists()


def test_a_finished_run_has_nothing_to_do(job, tmp_path, losses):
    for _ in range(2):
        outcome = run_job(job("vae", tmp_path, changes={"run.steps": 2}))
        assert (outcome.step, len(losses(tmp_path))) == (2, 2)


def test_a_run_in_several_parts_gives_the_same_losses(
    job, trained_vae, trained_model, tmp_path, losses
):
    for steps in (7, 20):
        made = {"run.steps": steps}
        run_job(job("diffusion", tmp_path, changes=made, vae=trained_vae.outcome.weights))
    assert losses(tmp_path) == losses(trained_model.output)[:20]


def test_a_checkpoint_in_the_output_folder_is_refused(job, tmp_path):
    with pytest.raises(SettingsError, match="is in the output folder"):
        run_job(job("lora", tmp_path, init=tmp_path / "model.safetensors"))


def test_a_checkpoint_has_the_parts_whose_weights_it_contains():
    assert holds(EMBEDDED, DIT)
    assert not holds(EMBEDDED, "no such prefix.")
    assert not holds(None, DIT)
