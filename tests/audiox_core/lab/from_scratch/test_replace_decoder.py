"""A model with another decoder: everything else stays, and the VAE is stored once."""

import json

import pytest
import torch

from audiox_core.checkpoint.convert import convert
from audiox_core.checkpoint.layout import AUDIO_VAE, VAE
from audiox_core.checkpoint.part_files import open_vae
from audiox_core.checkpoint.weight_file import open_weights
from audiox_core.lab.from_scratch.replace_decoder import has_own_vae, replace_decoder
from audiox_core.training.run import run_job


@pytest.fixture
def state(trained_model):
    """Weights of the model's VAE, all of them doubled."""
    vae = open_vae(trained_model.path).load()
    return {name: 2 * tensor for name, tensor in vae.state_dict().items()}


def test_only_the_decoder_changes(trained_model, state, tmp_path):
    path = tmp_path / "model.safetensors"
    replace_decoder(trained_model.path, state, path, {"steps": 3})
    before, after = open_weights(trained_model.path), open_weights(path)
    assert before.tensors.keys() == after.tensors.keys()
    assert not after.below(AUDIO_VAE)
    changed = {n for n in before.tensors if not torch.equal(before.copy(n), after.copy(n))}
    assert changed
    assert all(name.startswith(f"{VAE}decoder.") for name in changed)
    assert json.loads(after.header["trained"])["decoder"] == {"steps": 3}
    found = open_vae(path).load().state_dict()
    for name in found:
        wanted = state[name] if name.startswith("decoder.") else state[name] / 2
        torch.testing.assert_close(found[name], wanted, rtol=2e-3, atol=1e-5)


def test_other_files_are_told_apart(trained_model, trained_vae, tmp_path):
    assert has_own_vae(trained_model.path)
    assert not has_own_vae(trained_vae.outcome.weights)  # a VAE alone
    convert([trained_model.path], tmp_path / "small.safetensors", dtype="float8_scaled")
    assert not has_own_vae(tmp_path / "small.safetensors")


def test_the_stage_writes_it_at_every_save(job, trained_model, tmp_path):
    changes = {"run.steps": 50, "run.minutes": 1e-6, "vae.train_encoder": False}
    outcome = run_job(job("vae", tmp_path, changes=changes, init=trained_model.path))
    assert not outcome.finished
    size = (tmp_path / "model.safetensors").stat().st_size
    assert size == pytest.approx(trained_model.path.stat().st_size, rel=0.02)
