"""A tokenizer trained on captions."""

import pytest

from audiox_core.conditioners.text import END, UNKNOWN
from audiox_core.lab.from_scratch.tokenizer import CHARACTERS, train_tokenizer

CAPTIONS = ["rain on a roof", "a dog barks", "rain falls", "a dog in the rain"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(CAPTIONS, 120)


def test_a_text_ends_with_the_end_token_and_decodes_to_itself(tokenizer):
    encoded = tokenizer.encode("rain on a dog")
    assert encoded.ids[-1] == tokenizer.token_to_id(END)
    assert tokenizer.decode(encoded.ids) == "rain on a dog"


def test_every_printable_ascii_character_is_known(tokenizer):
    ids = tokenizer.encode("".join(CHARACTERS)).ids
    assert tokenizer.token_to_id(UNKNOWN) not in ids


def test_the_vocabulary_has_a_limit(tokenizer):
    assert tokenizer.get_vocab_size() <= 120


def test_the_order_of_the_captions_does_not_matter(tokenizer):
    assert train_tokenizer(reversed(CAPTIONS), 120).to_str() == tokenizer.to_str()
