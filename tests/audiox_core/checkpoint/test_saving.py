"""What a host's save nodes add, so that a file loads again."""

import json

import pytest
import torch
from safetensors.torch import save_file

from audiox_core import load_checkpoint, open_checkpoint
from audiox_core.checkpoint.convert import convert
from audiox_core.checkpoint.inspect import inspect
from audiox_core.checkpoint.layout import AUDIO_VAE
from audiox_core.checkpoint.part_files import open_vae
from audiox_core.checkpoint.saved_names import CONFIG
from audiox_core.checkpoint.saving import conditioner_tensors, model_config, vae_config
from audiox_core.errors import WeightsError


@pytest.fixture
def saved(toy, tmp_path):
    """The toy as ComfyUI saves it: all parts, or the transformer alone, or its VAE."""
    file = open_checkpoint(toy)
    vae = file.load_vae().state_dict()
    model = {f"model.diffusion_model.{n}": t for n, t in file.load_backbone().state_dict().items()}
    parts = {
        "model": model | model_config(file.config),
        "vae": {f"oobleck.{n}": t for n, t in vae.items()}
        | {CONFIG: vae_config(file.config.vae, file.config.latent)},
    }
    parts["whole"] = {
        **parts["model"],
        **{f"first_stage_model.{n}": t for n, t in parts["vae"].items()},
        **conditioner_tensors(file.weights, file.config, vae),
        "edm_vpred.sigma_max": torch.tensor(500.0),
    }

    def write(name):
        save_file(parts[name], tmp_path / f"{name}.safetensors")
        return tmp_path / f"{name}.safetensors"

    return write


def assert_same(found, expected):
    found, expected = found.state_dict(), expected.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_whole_file_loads_to_the_same_numbers(saved, toy):
    path = saved("whole")
    found, expected = (load_checkpoint(p, device="cpu") for p in (path, toy))
    assert found.config == expected.config
    for part in ("backbone", "vae", "conditioners"):
        assert_same(getattr(found, part), getattr(expected, part))
    report = inspect(path)
    assert report.complete
    assert "edm_vpred.sigma_max" in report.other_entries


def test_a_whole_file_is_converted(saved, toy, tmp_path):
    made = convert([saved("whole")], tmp_path / "out.safetensors")
    assert_same(open_checkpoint(made.path).load_backbone(), open_checkpoint(toy).load_backbone())
    assert_same(open_checkpoint(made.path).load_vae(), open_checkpoint(toy).load_vae())


def test_a_model_is_converted_with_a_saved_vae(saved, toy, tmp_path):
    made = convert([toy, saved("vae")], tmp_path / "out.safetensors")
    assert_same(open_checkpoint(made.path).load_vae(), open_checkpoint(toy).load_vae())


def test_a_vae_alone_is_opened_and_described(saved, toy):
    path = saved("vae")
    assert_same(open_vae(path).load(), open_checkpoint(toy).load_vae())
    assert_same(open_checkpoint(toy, vae=path).load_vae(), open_checkpoint(toy).load_vae())
    assert "an audio VAE alone" in inspect(path).what
    with pytest.raises(WeightsError, match="an audio VAE alone"):
        open_checkpoint(path)


def test_a_transformer_alone_loads_and_says_what_it_lacks(saved, toy):
    path = saved("model")
    file = open_checkpoint(path)
    assert_same(file.load_backbone(), open_checkpoint(toy).load_backbone())
    for use in (file.load, file.load_conditioners):
        with pytest.raises(WeightsError, match="holds only the transformer"):
            use()
    assert "only the transformer" in inspect(path).note


def test_the_vae_of_audio_prompts_is_saved_where_it_differs(toy):
    file = open_checkpoint(toy)
    vae = file.load_vae().state_dict()
    assert not any(
        name.startswith(AUDIO_VAE) for name in conditioner_tensors(file.weights, file.config, vae)
    )
    other = {name: tensor + 1 for name, tensor in vae.items()}
    found = conditioner_tensors(file.weights, file.config, other)
    assert all(torch.equal(found[AUDIO_VAE + name], tensor) for name, tensor in vae.items())


def test_the_config_of_a_vae_is_its_sizes(toy):
    config = open_checkpoint(toy).config
    text = json.loads(vae_config(config.vae, config.latent).numpy().tobytes())
    assert text["latent"]["sample_rate"] == 44_100
    assert text["vae"]["channels"] == config.vae.channels
