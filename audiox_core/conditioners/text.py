"""Text -> 128 tokens: a T5 encoder (arXiv 1910.10683), its padding set to zero.

Axes: `b` prompts, `s` tokens, `d` width.
"""

import logging
from collections.abc import Sequence

import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor, nn

from ..errors import SettingsError

logger = logging.getLogger(__name__)

MAX_CHARACTERS = 4_096  # beyond this it is a pasted file, not a prompt
# what stood for a caption in training where a clip came without one (specification, tasks)
TASK_PROMPTS = {
    "sound effects": "Generate general audio for the video",
    "music": "Generate music for the video",
}
PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"


class TextConditioner(nn.Module):
    """Tokenizer and encoder. Its weights are not in a released AudioX file: they are T5-base's."""

    def __init__(self, encoder: nn.Module, tokens: int, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = Tokenizer.from_str(tokenizer.to_str())  # ours to set up
        self.tokenizer.no_padding()  # a file may bring settings of its own; cut and padded here,
        self.tokenizer.no_truncation()  # so that the user can be told
        self.tokens = tokens
        self.encoder = encoder

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and mask (1 = a token, 0 = padding), `b s` -> `b s d`, padding exactly zero."""
        mask = mask.bool()
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden.float() * mask[..., None]

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> `b s d`. Raises SettingsError for a text that the encoder cannot read."""
        device = next(self.encoder.parameters()).device
        ids, mask = self.tokenize(prompts)
        return self(ids.to(device), mask.to(device))

    def tokenize(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Prompts -> ids and mask, `b s`. Raises SettingsError for a text that cannot be read."""
        rows = [self._ids(prompt) for prompt in prompts]
        ids = torch.tensor([row + [self._id(PAD)] * (self.tokens - len(row)) for row in rows])
        lengths = torch.tensor([len(row) for row in rows])
        return ids, torch.arange(self.tokens) < lengths[:, None]

    def _ids(self, prompt: str) -> list[int]:
        """Token ids, at most `tokens`, the end token last."""
        if len(prompt) > MAX_CHARACTERS:
            raise SettingsError(
                f"The prompt has {len(prompt):,} characters; the model reads {self.tokens} "
                "tokens, about 100 words. Describe the sound in a few sentences."
            )
        try:
            encoding = self.tokenizer.encode(prompt)
        except Exception as error:  # the library raises plain Exception, TypeError, …
            raise SettingsError(
                f"The tokenizer cannot read the prompt ({str(error)[:60]}): use plain words."
            ) from error
        self._check_known(prompt, encoding)
        ids = encoding.ids
        if len(ids) <= self.tokens:
            return ids
        end = encoding.offsets[self.tokens - 2][1]
        logger.warning(
            "The prompt has %d tokens, the model reads %d: all after '%s' is ignored.",
            len(ids), self.tokens, prompt[max(0, end - 20) : end],
        )  # fmt: skip
        return [*ids[: self.tokens - 1], self._id(END)]

    def _check_known(self, prompt: str, encoding: Encoding) -> None:
        """Say which characters the encoder has no token for."""
        pieces = zip(encoding.ids, encoding.offsets, strict=True)
        unknown = [prompt[slice(*offsets)] for i, offsets in pieces if i == self._id(UNKNOWN)]
        if not unknown:
            return
        known = [i for i in encoding.ids if i != self._id(UNKNOWN)]
        if not self.tokenizer.decode(known).strip():
            raise SettingsError(
                f"The text encoder knows nothing of the prompt {prompt[:40]!r}: "
                "write what should sound in English words."
            )
        logger.warning("The text encoder does not know '%s': left out.", " ".join(unknown)[:40])

    def _id(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise SettingsError(f"The tokenizer has no {token}: it is not one of the T5 family.")
        return found
