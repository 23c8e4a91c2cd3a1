"""CONDITIONING, both ways: tokens assembled by us, and what reaches the model through other nodes.

An assembled CONDITIONING is `[[tokens 1 (w s) d, {"audiox": facts, "pooled_output": checksum}]]`.
Every number is in the tensor, so native nodes that combine, average or zero it work. The checksum
is averaged and zeroed together with the tokens. It holds 1, the number of windows, and the first
and the last token, which shows what else was mixed in.
"""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import pad

from ...audiox_core.conditioners.assemble import Conditioning
from ...audiox_core.config import AudioXConfig
from ...audiox_core.errors import SettingsError
from ...audiox_core.windows import Plan, check_windows

logger = logging.getLogger(__name__)

KEY = "audiox"
EMPTY = "audiox_empty"  # tokens of the empty prompt, beside those of a prompt
BLANK = "audiox_blank"  # set for the empty prompt: as a negative prompt it is none
CONNECT = "connect AudioX Masked Conditioning to the sampler"


def from_core(conditioning: Conditioning, audiox: AudioXConfig) -> tuple[list, list]:
    """Both branches -> positive and negative CONDITIONING."""
    tokens = conditioning.positive.shape[1] // conditioning.windows
    facts = {"variant": audiox.variant, "windows": conditioning.windows, "tokens": tokens}
    facts["seconds"] = conditioning.seconds
    branches = (conditioning.positive.cpu().float(), conditioning.negative.cpu().float())
    positive, negative = (
        [[branch, {KEY: dict(facts), "pooled_output": _checksum(branch, conditioning.windows)}]]
        for branch in branches
    )
    return positive, negative


def _checksum(tokens: Tensor, windows: int) -> Tensor:
    return torch.cat(
        [torch.tensor([[1.0, windows]], dtype=torch.float32), tokens[:, 0], tokens[:, -1]], dim=1
    )


def tokens_of_a_run(given: Mapping[str, Any], audiox: AudioXConfig, plan: Plan) -> Tensor:
    """What a sampler hands over for one conditioning -> condition tokens `w s d`.

    Raises:
        SettingsError: it was not made for this model, or not for this length.
    """
    facts, flat = given.get(KEY), given.get("cross_attn")
    if facts is None or flat is None:
        raise SettingsError(f"This is not an AudioX conditioning: {CONNECT}.")
    if facts["variant"] != audiox.variant:
        raise SettingsError(
            f"The conditioning was made for {facts['variant']}, but the model is "
            f"{audiox.variant}: load both from one checkpoint."
        )
    windows, tokens = facts["windows"], facts["tokens"]
    shape = (1, windows * tokens, audiox.dit.cond_dim)
    if tuple(flat.shape) != shape:
        raise SettingsError(
            f"The conditioning has the shape {tuple(flat.shape)} instead of {shape}: another "
            f"node changed it (ConditioningConcat?). Use ConditioningCombine, or {CONNECT}."
        )
    _check_checksum(given.get("pooled_output"), flat, windows)
    check_windows(windows, plan, facts.get("seconds"))
    return rearrange(flat, "1 (w s) d -> w s d", w=windows)


def _check_checksum(checksum: Tensor | None, tokens: Tensor, windows: int) -> None:
    if checksum is None or not checksum.any():  # zeroed out
        return
    share, count = checksum.flatten().tolist()[:2]
    if abs(count - windows * share) > 1e-3 * windows:
        raise SettingsError(
            "Two conditionings of different lengths were averaged: connect the same seconds to "
            "both, or use ConditioningCombine."
        )
    tokens, width = tokens.float(), tokens.shape[-1]
    first, last = (ours.to(tokens) for ours in checksum.flatten()[2:].split(width))
    # a mean with something shorter, such as a text: the last token is only weaker for it
    strength = (tokens[0, -1] @ last / (last @ last).clamp(min=1e-12)).item()
    if _near(tokens[0, -1], strength * last) and not _near(
        tokens[0, 0], strength * first if last.any() else first
    ):
        raise SettingsError(
            "An AudioX conditioning was averaged with another kind: average the texts before "
            "AudioX Masked Conditioning, or two outputs of it."
        )


def _near(found: Tensor, expected: Tensor) -> bool:
    return torch.allclose(found, expected, rtol=1e-3, atol=1e-4)


def text_tokens(
    conditioning: list | None, audiox: AudioXConfig, what: str
) -> tuple[Tensor | None, Tensor | None]:
    """A text CONDITIONING, ours or of CLIPTextEncode -> `1 s d` and that of the empty prompt.

    Longer ones are cut, as in training; shorter ones are padded with zeros.
    """
    if conditioning is None:
        return None, None
    if len(conditioning) != 1:
        raise SettingsError(
            f"The {what} contains {len(conditioning)} conditionings: use one AudioX Masked "
            "Conditioning for each, and combine their outputs."
        )
    tokens, facts = conditioning[0]
    length, width = audiox.text_tokens, audiox.dit.cond_dim
    pooled = facts.get("pooled_output")
    has_checksum = pooled is not None and pooled.shape == (1, 2 + 2 * width) and pooled[0, 0] == 1
    if KEY in facts or has_checksum:
        raise SettingsError(
            f"The {what} is already assembled, or was averaged with one that is: connect the "
            "output of AudioX Encode Text."
        )
    if tokens.ndim != 3 or tokens.shape[-1] != width or len(tokens) != 1:
        raise SettingsError(
            f"The {what} has the shape {tuple(tokens.shape)}, but the model reads (1, {length}, "
            f"{width}): use AudioX Encode Text, or CLIPTextEncode with T5-base from CLIPLoader "
            "(type stable_audio)."
        )
    if tokens.shape[1] > length:
        logger.warning(
            "The %s has %d tokens, but the model reads %d: the rest is ignored.",
            what,
            tokens.shape[1],
            length,
        )
    tokens = tokens[:, :length].float()
    return pad(tokens, (0, 0, 0, length - tokens.shape[1])), facts.get(EMPTY)
