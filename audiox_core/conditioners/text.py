"""Encode text into 128 tokens with a T5 encoder (arXiv 1910.10683); padding is zero.

Axes: `b` prompts, `s` tokens, `d` width.
"""

import logging
import re
from collections.abc import Sequence

import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor, nn

from ..errors import SettingsError, is_out_of_memory
from .inputs import check_prompt

logger = logging.getLogger(__name__)

LARGEST_OF_CAPTIONS = 4_096  # pieces; T5 has 32,100, and most words in several pieces
BEGINNING = "▁"  # of a word, in the pieces of a tokenizer
EXAMPLES = 12  # of its words in the warning
WORD = re.compile(r"[^\W\d_]{3,}")
WITHOUT_SOUND = frozenset(("and", "for", "into", "now", "someone", "the", "then", "with"))
PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"


class TextConditioner(nn.Module):
    """A tokenizer and its encoder. Released AudioX files lack its weights: they are T5-base's."""

    def __init__(self, encoder: nn.Module, tokens: int, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = Tokenizer.from_str(tokenizer.to_str())  # a copy, its settings change
        # prompts are cut and padded here, so that the user can be warned
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.tokens = tokens
        self.encoder = encoder

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encode token ids.

        Args:
            ids: `b s`.
            mask: 1 for a token, 0 for padding, `b s`.

        Returns:
            `b s d`, float32, zero at the padding.
        """
        mask = mask.bool()
        hidden = self.encoder(ids, mask)
        return hidden.float() * mask[..., None]

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Encode prompts into tokens `b s d`. Raises SettingsError as `tokenize` does."""
        device = next(self.encoder.parameters()).device
        ids, mask = self.tokenize(prompts)
        return self(ids.to(device), mask.to(device))

    def tokenize(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Turn prompts into token ids and their mask, `b s` each.

        Longer prompts are cut with a warning.

        Raises:
            SettingsError: a prompt is far too long, or the tokenizer cannot read it.
        """
        rows = [self._ids(prompt) for prompt in prompts]
        ids = torch.tensor([row + [self._id(PAD)] * (self.tokens - len(row)) for row in rows])
        lengths = torch.tensor([len(row) for row in rows])
        return ids, torch.arange(self.tokens) < lengths[:, None]

    def _ids(self, prompt: str) -> list[int]:
        """The ids of a prompt, at most `tokens`; the last is the end token."""
        check_prompt(prompt)
        try:
            encoding = self.tokenizer.encode(prompt)
        except Exception as error:  # the library raises plain Exception, TypeError, …
            if is_out_of_memory(error):
                raise
            raise SettingsError(
                f"The tokenizer cannot read the prompt ({str(error)[:60]}): use plain words."
            ) from error
        self._check_known(prompt, encoding)
        self._check_captions(prompt)
        ids = encoding.ids
        if len(ids) <= self.tokens:
            return ids
        end = encoding.offsets[self.tokens - 2][1]
        logger.warning(
            "The prompt has %d tokens, but the model reads %d: everything after '%s' is ignored.",
            len(ids),
            self.tokens,
            prompt[max(0, end - 20) : end],
        )
        return [*ids[: self.tokens - 1], self._id(END)]

    def _check_known(self, prompt: str, encoding: Encoding) -> None:
        """Warn of characters without a token. Raises SettingsError if no known token remains."""
        pieces = zip(encoding.ids, encoding.offsets, strict=True)
        unknown = [prompt[slice(*offsets)] for i, offsets in pieces if i == self._id(UNKNOWN)]
        if not unknown:
            return
        known = [i for i in encoding.ids if i != self._id(UNKNOWN)]
        if not self.tokenizer.decode(known).strip():
            raise SettingsError(
                f"The text encoder recognizes no word in the prompt {prompt[:40]!r}: describe the "
                "sound in English."
            )
        logger.warning(
            "The text encoder does not know '%s': it is ignored.", " ".join(unknown)[:40]
        )

    def _check_captions(self, prompt: str) -> None:
        """Warn of a prompt without a word of the captions that a small tokenizer was made from."""
        vocabulary = self.tokenizer.get_vocab_size()
        if vocabulary > LARGEST_OF_CAPTIONS:
            return
        words = [word for word in WORD.findall(prompt) if word not in WITHOUT_SOUND]
        if words and all(self.tokenizer.token_to_id(BEGINNING + word) is None for word in words):
            pieces = [p for p in self.tokenizer.get_vocab() if p.startswith(BEGINNING)]
            whole = [p for p in pieces if sum(other.startswith(p) for other in pieces) == 1]
            longest = sorted((p.removeprefix(BEGINNING) for p in whole), key=lambda p: (-len(p), p))
            logger.warning(
                "This small model was trained with few words, and the prompt '%s' has none of "
                "them, so the sound does not follow it: use words such as %s, or another model.",
                prompt[:40],
                ", ".join(longest[:EXAMPLES]),
            )

    def _id(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise SettingsError(f"The tokenizer has no {token}: use the tokenizer of a T5 model.")
        return found
