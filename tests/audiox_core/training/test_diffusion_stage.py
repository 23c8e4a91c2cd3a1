"""The masked training of a whole tiny model, and that it is the model of generation."""

from pathlib import Path

import pytest
import torch

from audiox_core import (
    Checkpoint,
    Features,
    Request,
    assemble,
    encode_text,
    generate,
    load_checkpoint,
)
from audiox_core.checkpoint.weight_file import open_weights
from audiox_core.errors import SettingsError
from audiox_core.training.run import run_job

NOTHING = {"masks.masked": 0.0, "masks.absent": 0.0, "masks.unconditional": 0.0}
ALL = range(8)


def checkpoint_of(stage):
    """The modules of a stage, as generation uses them."""
    module, file = stage.module, stage.model_file
    return Checkpoint(module.conditioners, module.model, file.vae, file.config, Path("none"))


def test_the_loss_falls_in_50_steps_on_200_clips(trained_model, losses):
    curve = losses(trained_model.output)
    assert len(curve) == 50
    assert sum(curve[-10:]) < 0.6 * sum(curve[:10])


def test_the_file_is_a_complete_checkpoint(trained_model, settings):
    loaded = load_checkpoint(trained_model.path, device="cpu")
    assert loaded.variant == "audiox-tiny"
    assert loaded.config.dit == settings().model.dit
    assert loaded.conditioners.text.encode(["a bouncing ball"]).shape == (1, 24, 32)


def test_the_trained_file_generates_audio(trained_model):
    sound = generate(
        Request(prompt="a ball bounces", seconds=2.0),
        load_checkpoint(trained_model.path, device="cpu"),
    )
    assert sound.waveform.shape == (2, 16_000)
    assert sound.waveform.isfinite().all()


def test_the_file_says_how_it_was_made(trained_model):
    import json

    record = json.loads(open_weights(trained_model.path).header["trained"])
    assert (record["steps"], record["clips"], record["data"], record["seed"]) == (
        50,
        200,
        "world",
        42,
    )
    assert record["seconds"] > 0
    assert len(record["data_hash"]) == 16


def test_a_run_writes_a_log_and_a_plot(trained_model):
    assert (trained_model.output / "loss.svg").read_text(encoding="utf-8").startswith("<svg")


def test_unmasked_tokens_equal_those_of_generation(prepared):
    stage = prepared(**NOTHING)
    (batch,) = stage.batch(0, ALL)
    at = int(batch.with_video[0])  # a clip with a picture
    caption = stage.batches.cache.captions[stage.batches.clip_of(0, at)]
    checkpoint = checkpoint_of(stage)
    conditioners = checkpoint.conditioners
    with torch.no_grad():
        audio = conditioners.audio.project(batch.prompt[at : at + 1])
        video, variant = conditioners.video.encode(batch.pictures[0]), checkpoint.variant
        expected = assemble(
            checkpoint,
            text=conditioners.text.encode([caption]),
            video=Features("video", video, variant),
            audio=None if batch.absent["audio"][at] else Features("audio", audio, variant),
        )
        found = stage.module.tokens(batch)[at : at + 1]
    torch.testing.assert_close(found, expected.positive, atol=1e-5, rtol=1e-5)


def test_absent_modalities_use_the_learned_absent_tokens(prepared):
    stage = prepared(**NOTHING | {"masks.absent": 1.0})
    (batch,) = stage.batch(0, ALL)
    with torch.no_grad():
        found = stage.module.tokens(batch)
        checkpoint = checkpoint_of(stage)
        expected = assemble(checkpoint, text=encode_text(checkpoint, "")).positive
    torch.testing.assert_close(found, expected.expand_as(found), atol=1e-5, rtol=1e-5)


def test_masks_hide_a_part_of_every_modality(prepared):
    seen, masked = (
        prepared(**NOTHING | {"masks.masked": share}).batch(0, ALL)[0] for share in (0.0, 1.0)
    )
    black = (masked.pictures == 0).float().mean() - (seen.pictures == 0).float().mean()
    assert black > 0.1
    assert masked.hidden_text.float().mean() == pytest.approx(0.3, abs=0.05)
    assert not seen.hidden_text.any()
    heard = ~masked.absent["audio"]
    changed = (masked.prompt != seen.prompt).any(dim=1)[heard].float().mean()
    assert 0.25 <= changed <= 0.75


def test_hidden_words_are_zero_tokens(prepared):
    stage = prepared(**NOTHING | {"masks.masked": 1.0})
    (batch,) = stage.batch(0, ALL)
    tokens = stage.module.text_tokens(batch)
    assert (tokens[batch.hidden_text] == 0).all()
    assert (tokens[~batch.hidden_text & batch.text_mask] != 0).any(dim=-1).all()


def test_gradients_reach_exactly_the_weights_that_are_trained(prepared):
    stage = prepared(**{"masks.absent": 0.5})
    (batch,) = stage.batch(0, ALL)
    stage.module(batch)["loss"].backward()
    slopes = {n: p.grad for n, p in stage.module.named_parameters() if p.requires_grad}
    assert not [n for n, slope in slopes.items() if slope is None]
    for name in (
        "conditioners.video.empty_visual_feat", "conditioners.audio.empty_audio_feat",
        "conditioners.text.encoder.shared.weight", "conditioners.audio.proj_out.weight",
        "conditioners.video.visual_encoder_model.vision_model.embeddings.patch_embedding.weight",
    ):  # fmt: skip
        assert slopes[name].abs().sum() > 0, name
    assert not [
        n for n in slopes if "vae" in n or (n.endswith("norm.bias") and n.startswith("model."))
    ]


def test_pretrained_encoders_are_frozen_by_default(prepared):
    stage = prepared(**{"diffusion.train_clip": False, "diffusion.train_text": False})
    learning = [n for n, p in stage.module.named_parameters() if p.requires_grad]
    assert not [n for n in learning if "visual_encoder_model" in n or ".text." in n]
    assert "conditioners.video.empty_visual_feat" in learning


def test_the_states_of_a_frozen_clip_are_cached_instead_of_frames(prepared):
    changes = NOTHING | {"masks.patches": 0.0, "diffusion.train_clip": False}
    kept, looked = prepared(**changes), prepared(**NOTHING)
    assert kept.batch(0, ALL)[0].pictures.is_floating_point()
    with torch.no_grad():
        tokens = [s.module.video_tokens(s.batch(0, ALL)[0]) for s in (kept, looked)]
    torch.testing.assert_close(*tokens, atol=2e-2, rtol=2e-2)  # kept in half precision


def test_any_split_of_a_step_has_the_same_items(prepared):
    stage = prepared()
    (whole,), (part,) = stage.batch(3, ALL), stage.batch(3, range(4, 8))
    for name in ("latent", "noise", "t", "ids", "hidden_text", "prompt", "unconditional"):
        assert torch.equal(getattr(whole, name)[4:], getattr(part, name)), name


@pytest.mark.parametrize(
    ("changes", "vae", "said"),
    [
        ({"diffusion.train_text": False}, True, "train_clip and diffusion.train_text"),
        ({}, False, "needs a VAE"),
        ({"model.latent.channels": 16, "model.dit.io_channels": 16}, True, "has latents of 8"),
    ],
)
def test_a_model_from_scratch_names_what_is_missing(job, trained_vae, tmp_path, changes, vae, said):
    path = trained_vae.outcome.weights if vae else None
    with pytest.raises(SettingsError, match=said):
        run_job(job("diffusion", tmp_path, changes=changes, vae=path))


def test_a_run_can_start_from_a_trained_model(job, trained_model, tmp_path, losses):
    parts = {"run.steps": 2, "diffusion.train_clip": True, "diffusion.train_text": True}
    run_job(job("diffusion", tmp_path, changes=parts, init=trained_model.path))
    assert losses(tmp_path)[0] < 0.8 * losses(trained_model.output)[0]
