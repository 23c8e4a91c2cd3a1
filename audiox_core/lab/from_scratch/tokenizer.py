"""A tokenizer of the T5 kind, made from the captions that a model is trained on."""

from collections.abc import Iterable

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from ...conditioners.text import END, PAD, UNKNOWN

CHARACTERS = [chr(code) for code in range(0x20, 0x7F)]  # so that no English word is unknown


def train_tokenizer(captions: Iterable[str], vocabulary: int) -> Tokenizer:
    """Byte pairs over words that begin with a mark; a text ends with `</s>`.

    Args:
        captions: in any order; the same ones make the same tokenizer.
        vocabulary: largest count of pieces.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END, UNKNOWN],
        initial_alphabet=CHARACTERS,
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(captions), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return tokenizer
