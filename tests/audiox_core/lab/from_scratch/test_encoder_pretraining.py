"""Encoders that learn before the transformer, and the transformer that begins by looking."""

import json

import pytest
import torch

from audiox_core import open_checkpoint
from audiox_core.checkpoint.checkpoint_file import EMBEDDED
from audiox_core.checkpoint.layout import AUDIO_VAE
from audiox_core.checkpoint.weight_file import open_weights
from audiox_core.config import DiTConfig
from audiox_core.errors import SettingsError
from audiox_core.lab.from_scratch.init import init_model
from audiox_core.lab.from_scratch.position_init import WINDOW, init_cross_attention, waves
from audiox_core.models.dit import DiT
from audiox_core.training.distributed import Distributed
from audiox_core.training.rng import seeded
from audiox_core.training.run import prepare, run_job
from audiox_core.training.settings import read_settings

RECIPE = EMBEDDED.with_suffix(".toml")


@pytest.fixture(scope="module")
def encoders(job, trained_vae, tmp_path_factory):
    output = tmp_path_factory.mktemp("encoders")
    return run_job(job("encoders", output, vae=trained_vae.outcome.weights))


def test_the_loss_decreases(encoders, losses):
    curve = losses(encoders.weights.parent)
    assert len(curve) == 50
    assert sum(curve[-10:]) < 0.9 * sum(curve[:10])


def test_only_the_conditioners_and_heads_are_trained(job, trained_vae, tmp_path):
    stage, _ = prepare(job("encoders", tmp_path, vae=trained_vae.outcome.weights), Distributed())
    learning = {name for name, p in stage.module.named_parameters() if p.requires_grad}
    assert {name.split(".")[0] for name in learning} == {"conditioners", "heads"}
    assert any(name.startswith("conditioners.text.encoder.") for name in learning)
    assert any(name.startswith("conditioners.video.visual_encoder_model.") for name in learning)


def test_the_file_is_a_complete_model_whose_blocks_add_zero(encoders):
    model = open_checkpoint(encoders.weights).load_backbone()
    for block in model.transformer.layers:
        assert not block.cross_attn.to_out.weight.any()
    queries = model.transformer.layers[1].cross_attn.to_q.weight
    assert [bool(row.any()) for row in queries] == [True, True, *[False] * 30] * 2


def test_the_diffusion_stage_reuses_the_cached_latents(encoders, job, trained_vae, tmp_path):
    """And does not encode the clips again."""
    vae = trained_vae.outcome.weights
    first, kept = prepare(job("encoders", tmp_path, vae=vae), Distributed())
    second, again = prepare(
        job("diffusion", tmp_path, vae=vae, init=encoders.weights), Distributed()
    )
    assert again.key == kept.key
    (one,), (two,) = (stage.batch(0, range(8)) for stage in (first, second))
    assert torch.equal(one.latent, two.latent)


def test_the_recipe_freezes_what_tells_the_transformer_positions(
    encoders, job, trained_vae, tmp_path
):
    prefixes = read_settings(RECIPE).diffusion.frozen
    parts = {"init": encoders.weights, "vae": trained_vae.outcome.weights}
    frozen = {"diffusion.frozen": prefixes}
    stage, _ = prepare(job("diffusion", tmp_path, changes=frozen, **parts), Distributed())
    fixed = {n for n, p in stage.module.model.named_parameters() if not p.requires_grad}
    assert prefixes
    for prefix in prefixes:
        assert any(name.startswith(prefix) for name in fixed)
    assert "transformer.layers.1.cross_attn.to_out.weight" not in fixed


def test_a_given_vae_also_encodes_prompts(encoders, job, trained_vae, tmp_path):
    """The file of the encoders holds it in half precision: the model must not keep a second one."""
    vae = trained_vae.outcome.weights
    going_on = job("diffusion", tmp_path, init=encoders.weights, vae=vae, changes={"run.steps": 1})
    made = run_job(going_on).weights
    assert not open_weights(made).below(AUDIO_VAE)


def test_encoders_of_a_checkpoint_are_not_retrained_from_scratch(encoders, job, tmp_path):
    with pytest.raises(SettingsError, match="train diffusion --init"):
        run_job(job("encoders", tmp_path, init=encoders.weights))


@pytest.fixture(scope="module")
def looking():
    """A new transformer that was shown tokens with their places in them, and such tokens."""
    with seeded(0):
        model = DiT(DiTConfig(width=192, depth=4, head_dim=32, cond_dim=96, global_dim=0))
        init_model(model)
        tokens = waves(96, 96) + 0.5 * torch.randn(16, 96, 96)
        noise = torch.randn(16, 64, WINDOW)
    places = (torch.arange(96) + 0.5) * WINDOW / 96
    init_cross_attention(model, tokens[:12], places, noise[:12], torch.linspace(0.1, 0.9, 12))
    return model, tokens[12:], noise[12:], places


def test_cross_attention_attends_to_its_own_time(looking):
    """At tokens and noise that it was not shown."""
    model, tokens, noise, places = looking
    frames = []
    block = model.transformer.layers[1]
    block.cross_attend_norm.register_forward_hook(lambda *call: frames.append(call[2][:, 1:]))
    with torch.no_grad():
        model(noise, torch.linspace(0.2, 0.8, 4), tokens)
        keys, _ = block.cross_attn.keys_values(model.to_cond_embed(tokens))
        queries = block.cross_attn.to_q(frames[0])[..., :32]
    looks = (queries @ keys[:, 0].mT / 32**0.5).softmax(dim=-1)
    near = (places - torch.arange(WINDOW)[:, None]).abs() < 12
    assert (looks * near).sum(dim=-1).mean() > 2 * near.float().mean()


def test_the_file_records_what_was_trained(job, trained_vae, tmp_path):
    """Whatever the settings say of `train diffusion`."""
    parts = ("clip", "text", "video", "conditioners")
    changes = {f"diffusion.train_{part}": False for part in parts} | {"run.steps": 1}
    made = run_job(job("encoders", tmp_path, changes=changes, vae=trained_vae.outcome.weights))
    record = json.loads(open_weights(made.weights).header["trained"])
    said = record["settings"]["diffusion"]
    assert {said[f"train_{part}"] for part in parts} == {True}


def test_the_mean_of_absent_text_uses_its_own_token_count(job, trained_vae, tmp_path):
    """The mean of the tokens that are there, however many words the clip's caption has."""
    gone = {"masks.absent": 1.0, "masks.masked": 0.0}
    vae = trained_vae.outcome.weights
    stage, _ = prepare(job("encoders", tmp_path, changes=gone, vae=vae), Distributed())
    (batch,) = stage.batch(0, range(8))
    read = []
    stage.module.heads["level"].register_forward_hook(lambda *call: read.append(call[1][0]))
    with torch.no_grad():
        stage.module(batch)
    torch.testing.assert_close(read[0], read[0][:1].expand_as(read[0]))


def test_without_pictures_cross_attention_is_not_initialised(job, trained_vae, tmp_path):
    """Every picture is masked; values are initialised from text."""
    changes = {"masks.absent": 1.0, "run.steps": 1}
    made = run_job(job("encoders", tmp_path, changes=changes, vae=trained_vae.outcome.weights))
    model = open_checkpoint(made.weights).load_backbone()
    assert model.transformer.layers[1].cross_attn.to_q.weight[2:32].any()
    first = model.to_cond_embed[0].weight
    assert torch.equal(first, first.diagonal().diag())


def test_freezing_a_weight_that_does_not_exist_is_an_error(trained_model, job, tmp_path):
    frozen = {"diffusion.frozen": ["transformer.layer.0."]}
    with pytest.raises(SettingsError, match=r"'transformer\.layer\.0\.'"):
        run_job(job("diffusion", tmp_path, changes=frozen, init=trained_model.path))


def test_a_run_does_not_resume_from_another_model(encoders, job, trained_vae, tmp_path):
    """Though the clips, and what is cached of them, are the same."""
    parts = {"vae": trained_vae.outcome.weights, "changes": {"run.steps": 1}}
    one, two = tmp_path / "one", tmp_path / "two"
    begun = run_job(job("diffusion", one, init=encoders.weights, **parts))
    run_job(job("diffusion", two, init=begun.weights, **parts))
    with pytest.raises(SettingsError, match="data_fingerprint"):
        run_job(job("diffusion", two, init=encoders.weights, **parts))
