"""Jobs without a checkpoint: which modules they build, and what they need."""

from pathlib import Path

import pytest

from audiox_core.checkpoint.checkpoint_file import EMBEDDED
from audiox_core.errors import SettingsError
from audiox_core.training.distributed import Distributed
from audiox_core.training.run import prepare


def test_encoder_pretraining_trains_every_encoder(job, tmp_path):
    changes = {"diffusion.train_clip": False, "diffusion.train_video": False}
    made = job("encoders", tmp_path, changes=changes).config.diffusion
    assert (made.train_clip, made.train_text, made.train_video, made.train_conditioners) == (
        True, True, True, True,
    )  # fmt: skip


def test_a_tokenizer_is_written_completely_or_not_at_all(job, tmp_path, trained_vae, monkeypatch):
    def interrupted(path, text, **_):
        path.write_bytes(text.encode()[:9])
        raise KeyboardInterrupt

    made = job("encoders", tmp_path, vae=trained_vae.outcome.weights)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(made, Distributed())
    assert [path.name for path in tmp_path.iterdir()] == []
    prepare(made, Distributed())
    assert (tmp_path / "tokenizer.json").exists()


def test_a_job_with_a_checkpoint_keeps_the_stage_of_training(job, tmp_path):
    assert job("diffusion", tmp_path, init=EMBEDDED).make_stage is None
    assert job("diffusion", tmp_path).make_stage is not None
    assert job("lora", tmp_path, init=EMBEDDED).make_stage is None


@pytest.mark.parametrize(
    ("stage", "changes", "parts", "message"),
    [
        ("diffusion", {"diffusion.train_clip": False}, {}, "start with `train encoders`"),
        ("diffusion", {}, {}, "needs a VAE"),
        ("diffusion", {}, {"vae": EMBEDDED}, "make them equal"),
        ("vae", {}, {"vae": EMBEDDED}, "pass it with --init"),
        ("vae", {"vae.train_encoder": False}, {}, "keeps the latents of a VAE"),
    ],
)
def test_a_job_that_lacks_something_is_refused(job, tmp_path, stage, changes, parts, message):
    with pytest.raises(SettingsError, match=message):
        prepare(job(stage, tmp_path, changes=changes, **parts), Distributed())
