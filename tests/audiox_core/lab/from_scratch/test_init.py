"""Initial weights: repeatable, and what is absent or closed at the start."""

from dataclasses import replace

import pytest
import torch

from audiox_core.config import MAFConfig
from audiox_core.errors import SettingsError
from audiox_core.lab.from_scratch.init import CLOSED, new_model, new_vae


@pytest.fixture
def make(settings, checkpoint):
    """`make(seed)`: a tiny model with its conditioners."""
    tokenizer = checkpoint.conditioners.text.tokenizer

    def build(seed, **changes):
        return new_model(replace(settings().model, **changes), tokenizer, seed)

    return build


def test_a_seed_gives_the_same_weights_and_another_seed_others(make):
    states = [model.state_dict() for model, _ in map(make, (1, 1, 2))]
    name = "timestep_features.weight"
    assert all(torch.equal(states[0][key], value) for key, value in states[1].items())
    assert not torch.equal(states[0][name], states[2][name])


def test_a_model_that_is_larger_than_the_memory_is_refused_before_it_is_made(make, settings):
    dit = replace(settings().model.dit, width=1_024_000, depth=100)
    with pytest.raises(SettingsError, match=r"\[model\] take [\d,]+ GB, more than the memory"):
        make(1, dit=dit)


def test_a_vae_that_is_larger_than_the_memory_is_refused_before_it_is_made(settings):
    sizes = replace(settings().model.vae, channels=1_000_000)
    with pytest.raises(SettingsError, match=r"\[model\] take [\d,]+ GB, more than the memory"):
        new_vae(sizes, 1)


def test_absent_video_and_audio_begin_as_zeros(make):
    _, conditioners = make(0)
    assert not conditioners.video.empty_visual_feat.any()
    assert not conditioners.audio.empty_audio_feat.any()


def test_the_gates_of_the_fusion_begin_closed(make, settings):
    width = settings().model.dit.cond_dim
    _, conditioners = make(0, maf=MAFConfig(width=width, depth=1, heads=2))
    for slot in "vta":
        gate = conditioners.maf.get_parameter(f"bypass_gate_{slot}")
        assert (gate == CLOSED).all()


def test_a_new_vae_is_the_same_for_the_same_seed(settings):
    first, second = (new_vae(settings().model.vae, seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
