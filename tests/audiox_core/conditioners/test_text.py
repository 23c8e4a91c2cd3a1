import logging

import pytest
import torch

from audiox_core.checkpoint.checkpoint_file import open_checkpoint
from audiox_core.conditioners.text import END, PAD
from audiox_core.errors import SettingsError


@pytest.fixture
def text(toy_checkpoint):
    return toy_checkpoint.conditioners.text


@torch.no_grad()
def test_every_prompt_has_128_tokens_and_padding_is_zero(text):
    tokens = text.encode(["rain on a tin roof"])
    used = tokens[0].abs().sum(-1) > 0
    assert tokens.shape == (1, 128, 64)
    assert 1 < used.sum() < 128
    assert used[: used.sum()].all()  # padding is behind


@torch.no_grad()
def test_the_empty_prompt_is_its_end_token_alone(text):
    assert (text.encode([""])[0].abs().sum(-1) > 0).sum() == 1


@torch.no_grad()
def test_prompts_in_a_batch_do_not_see_one_another(text):
    prompts = ["rain", "a dog barks twice far away"]
    batch = text.encode(prompts)
    for prompt, row in zip(prompts, batch, strict=True):
        torch.testing.assert_close(text.encode([prompt])[0], row, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_long_prompt_is_cut_with_a_warning(text, caplog):
    words = "rain and wind " * 100
    with caplog.at_level(logging.WARNING):
        tokens = text.encode([words])
    assert "the model reads 128" in caplog.text
    assert (tokens[0].abs().sum(-1) > 0).all()


def test_a_cut_prompt_still_ends_with_the_end_token(text):
    ids, mask = text.tokenize(["rain and wind " * 100, "rain"])
    end = text.tokenizer.token_to_id(END)
    assert ids.shape == (2, 128)
    assert ids[0, -1] == end
    assert (ids[0] == end).sum() == 1
    length = int(mask[1].sum())
    assert ids[1, length - 1] == end
    assert set(ids[1, length:].tolist()) == {text.tokenizer.token_to_id(PAD)}


@torch.no_grad()
def test_the_encoder_does_not_attend_to_padding(text):
    """Other numbers in place of the padding change nothing."""
    ids, mask = text.tokenize(["rain"])
    other = torch.where(mask, ids, 5)
    torch.testing.assert_close(text(ids, mask), text(other, mask))


def test_a_prompt_of_more_than_4096_characters_is_refused(text):
    with pytest.raises(SettingsError, match="10,000 characters"):
        text.encode(["x" * 10_000])


def test_a_prompt_of_emoji_alone_is_refused(text):
    with pytest.raises(SettingsError, match="in English"):
        text.encode(["🌧️🌊"])


@torch.no_grad()
def test_an_emoji_among_words_is_left_out_with_a_warning(text, caplog):
    with caplog.at_level(logging.WARNING):
        tokens = text.encode(["rain 🌧 on a roof"])
    assert "does not know" in caplog.text
    assert tokens.isfinite().all()


@torch.no_grad()
def test_an_end_token_in_the_prompt_does_not_end_it(text):
    with_end, without = text.encode(["rain </s> wind"]), text.encode(["rain"])
    assert (with_end.abs().sum(-1) > 0).sum() > (without.abs().sum(-1) > 0).sum()


def test_a_reading_tells_the_tokens_used_and_what_is_cut(text):
    reading = text.read("rain " * 300)
    assert len(reading.ids) == reading.limit == 128 < reading.given
    first, cut = reading.lines().split("\n")
    assert first == "128 of 128 tokens used"
    assert "is ignored" in cut


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("(rain:1.2) on a roof", "(rain:1.2)"),
        ("rain, (wind: .5)", "(wind: .5)"),
        ("rain (soft)", ""),
    ],
)
def test_weights_in_brackets_are_read_as_text_and_said(text, prompt, shown):
    said = [note for note in text.read(prompt).advice if "not as weights" in note]
    assert [shown in note for note in said] == [True] * bool(shown)


def test_a_small_vocabulary_names_words_that_its_captions_lack():
    embedded = open_checkpoint().text_encoder.load(32)
    (note,) = embedded.read("rain, applause. a bell in traffic").advice
    assert "never contain: applause, traffic. Use simpler" in note
    assert embedded.read("rain on a metal bell").advice == ()
