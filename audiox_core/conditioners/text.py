"""Encode text into 128 tokens with a T5 encoder (arXiv 1910.10683); padding is zero.

Axes: `b` prompts, `s` tokens, `d` width.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor, nn

from ..errors import SettingsError, is_out_of_memory
from .inputs import TASK_PROMPTS, check_prompt

logger = logging.getLogger(__name__)

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
MARK = "\N{LOWER ONE EIGHTH BLOCK}"  # of a piece that begins a word
SMALL_VOCABULARY = 4_096  # pieces; of a model that was trained on few captions
_WEIGHT = re.compile(r"\([^()]+:\s*\d*\.?\d+\s*\)")


@dataclass(frozen=True)
class PromptReading:
    """What a text encoder reads of a prompt.

    Args:
        ids: tokens that are used; the last is the end token.
        given: tokens that the whole prompt has.
        limit: tokens that the model reads.
        ignored: what is not read, a sentence each.
        advice: what is read, but not as it may be meant, a sentence each.
    """

    ids: list[int]
    given: int
    limit: int
    ignored: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    def lines(self) -> str:
        """For a node to show: the count of tokens, what is ignored, and advice."""
        used = f"{len(self.ids)} of {self.limit} tokens used"
        return "\n".join((used, *self.ignored, *self.advice))


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
        readings = [self.read(prompt) for prompt in prompts]
        for note in (note for reading in readings for note in reading.ignored):
            logger.warning("%s", note)
        rows = [reading.ids for reading in readings]
        ids = torch.tensor([row + [self._id(PAD)] * (self.tokens - len(row)) for row in rows])
        lengths = torch.tensor([len(row) for row in rows])
        return ids, torch.arange(self.tokens) < lengths[:, None]

    def read(self, prompt: str) -> PromptReading:
        """Tokens of a prompt, and what of it is not read. Raises SettingsError as `tokenize`."""
        check_prompt(prompt)
        try:
            encoding = self.tokenizer.encode(prompt)
        except Exception as error:  # the library raises plain Exception, TypeError, …
            if is_out_of_memory(error):
                raise
            raise SettingsError(
                f"The tokenizer cannot read the prompt ({str(error)[:60]}): use plain words."
            ) from error
        ids, given = encoding.ids, len(encoding.ids)
        ignored, advice = [*self._unknown(prompt, encoding)], [*self._rare(prompt, encoding)]
        if weight := _WEIGHT.search(prompt):
            advice.append(f"Weights such as {weight[0][:40]} are read as text, not as weights.")
        if given > self.tokens:
            end = encoding.offsets[self.tokens - 2][1]
            ignored.append(
                f"The prompt has {given} tokens, but the model reads {self.tokens}: everything "
                f"after '{prompt[max(0, end - 20) : end]}' is ignored."
            )
            ids = [*ids[: self.tokens - 1], self._id(END)]
        return PromptReading(ids, given, self.tokens, tuple(ignored), tuple(advice))

    def _unknown(self, prompt: str, encoding: Encoding) -> Iterator[str]:
        """A note on characters without a token. Raises SettingsError if no known token remains."""
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
        yield f"The text encoder does not know '{' '.join(unknown)[:40]}': it is ignored."

    def _rare(self, prompt: str, encoding: Encoding) -> Iterator[str]:
        """A note on words that a small vocabulary has only in more than two pieces."""
        if self.tokenizer.get_vocab_size() > SMALL_VOCABULARY or prompt in TASK_PROMPTS.values():
            return  # nobody wrote the prompt of a task
        words: list[str] = []
        counts: list[int] = []
        for piece in encoding.tokens:
            if piece.startswith(MARK) or not words:
                words.append("")
                counts.append(0)
            words[-1] += piece.removeprefix(MARK)
            counts[-1] += piece.removeprefix(MARK).isalpha()
        if rare := [word for word, pieces in zip(words, counts, strict=True) if pieces > 2]:
            shown = ", ".join(dict.fromkeys(w.removesuffix(END).strip(".,;:!?") for w in rare))
            yield (
                f"The captions that this small model was trained on rarely or never contain: "
                f"{shown[:80]}. Use simpler words, or a released model."
            )

    def _id(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise SettingsError(f"The tokenizer has no {token}: use the tokenizer of a T5 model.")
        return found
