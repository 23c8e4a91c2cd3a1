"""Batches: the same step gives the same numbers, however its items are divided."""

from types import SimpleNamespace

import pytest
import torch

from audiox_core.conditioners.audio import HIDDEN_MEL
from audiox_core.config import MelConfig
from audiox_core.training.batches import Batches, tokenized
from audiox_core.training.run import silence_of

MEAN = torch.arange(12.0).view(3, 4)


class FiveClips:
    """Clip `k` has latents around `k`; only the first has a prompt, none has a picture."""

    captions = ("rain", "a bell", "rain", "", "wind")

    def __len__(self):
        return 5

    def __getitem__(self, index):
        clip = {"mean": MEAN + index, "std": torch.full((3, 4), 0.01)}
        prompt = {"prompt_mean": MEAN - 1, "prompt_std": torch.zeros(3, 4)}
        return clip | (prompt if index == 0 else {})


@pytest.fixture
def batches(settings, checkpoint):
    config = settings()
    silence = (torch.full((3, 4), -9.0), torch.zeros(3, 4))
    return Batches(
        FiveClips(), config, config.model, checkpoint.conditioners.text,
        silence=silence, items_per_step=5,
    )  # fmt: skip


def test_a_part_of_a_batch_is_that_part_of_the_whole(batches):
    whole, part = batches.batch(3, range(5)), batches.batch(3, range(2, 4))
    for name in ("latent", "noise", "t", "ids", "prompt", "unconditional"):
        assert torch.equal(getattr(whole, name)[2:4], getattr(part, name)), name


def test_an_epoch_has_every_clip_and_the_next_step_other_noise(batches):
    first, second = batches.batch(0, range(5)), batches.batch(1, range(5))
    for batch in (first, second):
        clips = (batch.latent - MEAN).mean(dim=(1, 2)).round().int()
        assert sorted(clips.tolist()) == [0, 1, 2, 3, 4]
    assert not torch.equal(first.noise, second.noise)


def test_a_clip_without_a_prompt_gets_silence_and_counts_as_absent(batches):
    batch = batches.batch(0, range(5))
    assert batch.absent["video"].all()
    assert batch.absent["audio"].sum() >= 4
    silent = (batch.prompt == -9.0).all(dim=(1, 2))
    assert silent.sum() >= 4


def test_captions_share_rows_and_empty_ones_have_row_0(checkpoint):
    text = SimpleNamespace(tokenize=checkpoint.conditioners.text.tokenize)
    ids, mask, rows = tokenized(text, ["rain", "", "a bell", "rain"])
    assert rows == [1, 0, 2, 1]
    assert ids.shape == mask.shape
    assert len(ids) == 3
    assert torch.equal(ids[1:2], checkpoint.conditioners.text.tokenize(["rain"])[0])


def test_unreadable_captions_are_treated_as_empty_with_a_warning(checkpoint, caplog):
    *_, rows = tokenized(checkpoint.conditioners.text, ["\u96e8", "rain"])
    assert rows == [0, 1]
    assert "1 captions cannot be read" in caplog.text


def test_a_silent_spectrogram_is_masked_throughout_and_has_no_deviation():
    mel = SimpleNamespace(config=SimpleNamespace(mel=MelConfig(filters=3), audio_tokens=5))
    mean, std = silence_of(mel, torch.device("cpu"))
    assert mean.shape == (3, 5)
    assert (mean == HIDDEN_MEL).all()
    assert not std.any()
