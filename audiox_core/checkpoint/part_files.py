"""Parts that may have a file of their own: VAE, text encoder, Synchformer.

Opening one checks its names and shapes; its weights are read by `load`.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from ..conditioners.text import TextConditioner
from ..config import AudioXConfig, LatentConfig, OobleckConfig, SynchformerConfig, TextConfig
from ..errors import WeightsError
from ..models.oobleck import Oobleck, fold_weight_norm
from ..models.synchformer import Synchformer
from ..models.t5 import T5Encoder
from . import auxiliary_files as auxiliary
from . import layout
from .detect import header_config
from .layout import DIT, SYNC, SYNC_ENCODER, TEXT, VAE, check_below
from .modules import load_module
from .sizes import oobleck_sizes, synchformer_sizes, text_sizes
from .weight_file import WeightFile, open_weights


@dataclass(frozen=True)
class VaeFile:
    """A VAE in a file: where its weights are, its sizes, the latents that it makes."""

    weights: WeightFile
    prefix: str
    sizes: OobleckConfig
    latent: LatentConfig

    def load(
        self,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        ops: Any = nn,
    ) -> Oobleck:
        """The VAE.

        Args:
            device, dtype: of the weights.
            ops: the layers' classes, `torch.nn` or a host's.
        """
        fold = partial(fold_weight_norm, in_place=True)  # else the weights would be held twice
        build = partial(Oobleck, self.sizes, ops=ops)
        load = partial(load_module, self.weights, self.prefix, build, canonical=fold, copy=True)
        return load(device=device).to(dtype)  # folded in float32


def open_vae(path: str | Path) -> VaeFile:
    """The VAE of a VAE.ckpt, of a checkpoint, or of the file beside a checkpoint without one.

    The variant of a checkpoint does not matter, so nothing has to tell it.

    Raises:
        WeightsError: there is no VAE, or it is not whole.
    """
    file = open_weights(path)
    config = header_config(file)
    if file.below(DIT) and not file.below(VAE):
        variant = config and config.variant
        if (beside := auxiliary.find_vae(file.path, variant)) is None:
            raise WeightsError(auxiliary.missing_vae(file.path, variant))
        file = open_weights(beside)
    return vae_in(file, config)


def vae_in(file: WeightFile, config: AudioXConfig | None = None) -> VaeFile:
    """The VAE of an opened file.

    Args:
        file: a VAE alone, or a checkpoint that holds one.
        config: of the model that it is for; None takes the latents' rate of AudioX v1.

    Raises:
        WeightsError: there is none, it is not whole, or its latents are not those of the model.
    """
    first = "decoder.layers.0.weight_v"
    prefix = next(
        (p for p in (VAE, "") if p + first in file.shapes or layout.is_folded(file.shapes, p)), None
    )
    if prefix is None:
        raise WeightsError(
            f"{file.path.name} contains no AudioX VAE: it has no tensor '{first}'. Use VAE.ckpt or "
            "a complete AudioX checkpoint."
        )
    sizes = oobleck_sizes(file.shapes, prefix)
    layout.check_vae(file, prefix, sizes, "VAE")
    expected = LatentConfig() if config is None else config.latent
    latent = replace(expected, channels=sizes.latent_channels, hop_length=sizes.hop_length)
    if config is not None and latent != expected:
        raise WeightsError(
            f"{file.path.name} uses latents with {latent.channels} channels and "
            f"{latent.hop_length} samples per frame, but the model uses {expected.channels} and "
            f"{expected.hop_length}: use a VAE of the AudioX family."
        )
    return VaeFile(file, prefix, sizes, latent)


def prompt_vae(file: WeightFile, config: AudioXConfig) -> VaeFile | None:
    """The VAE of audio prompts in a model's own file; None where there is none."""
    prefix = layout.AUDIO_VAE if file.below(layout.AUDIO_VAE) else VAE
    if config.mel is not None or not file.below(prefix):
        return None
    return VaeFile(file, prefix, config.vae, config.latent)


@dataclass(frozen=True)
class TextEncoderFile:
    """A T5 encoder in a file, and its tokenizer."""

    weights: WeightFile
    prefix: str
    sizes: TextConfig
    tokenizer: Tokenizer

    def load(self, tokens: int, *, device: torch.device | str = "cpu") -> TextConditioner:
        """The text conditioner; `tokens`: that a prompt has."""
        build = partial(T5Encoder, self.sizes)
        encoder = load_module(self.weights, self.prefix, build, device=device)
        return TextConditioner(encoder, tokens, self.tokenizer)


def text_encoder_in(
    file: WeightFile, config: AudioXConfig, tokenizer: Path | None = None
) -> TextEncoderFile:
    """The text encoder in a model's own file, or in one of its own beside a tokenizer.json.

    Args:
        file: opened.
        config: of the model.
        tokenizer: a tokenizer.json for a file that has none beside it.

    Raises:
        WeightsError: it is not a text encoder, not whole, or not the one that the model was
            trained with.
    """
    prefix = TEXT if file.below(TEXT) else ""
    if f"{prefix}shared.weight" not in file.shapes:
        raise WeightsError(
            f"{file.path.name} is not a T5 text encoder: it has no tensor 'shared.weight'. "
            "Use model.safetensors of google-t5/t5-base."
        )
    text = file.header.get("tokenizer", "") if prefix else None
    loaded = auxiliary.load_tokenizer(file.path, text, tokenizer)
    sizes = text_sizes(file.shapes, prefix)
    if sizes.width != config.dit.cond_dim:
        raise WeightsError(
            f"{file.path.name} outputs text tokens of width {sizes.width}, but the model expects "
            f"{config.dit.cond_dim}: use the text encoder that the model was trained with "
            "(T5-base, 768, for AudioX v1)."
        )
    if (size := loaded.get_vocab_size()) > sizes.vocab_size:
        raise WeightsError(
            f"The tokenizer has {size} tokens, but the text encoder in {file.path.name} has "
            f"{sizes.vocab_size}: use the tokenizer.json that belongs to it."
        )
    check_below(file, prefix, layout.text_layout(sizes, prefix), "T5 text encoder")
    return TextEncoderFile(file, prefix, sizes, loaded)


@dataclass(frozen=True)
class SynchformerFile:
    """Synchformer's visual encoder in a file."""

    weights: WeightFile
    prefix: str
    sizes: SynchformerConfig

    def load(
        self, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> Synchformer:
        """The encoder; `device` and `dtype` are those of the weights."""
        where = {"device": device, "dtype": dtype}
        return load_module(self.weights, self.prefix, partial(Synchformer, self.sizes), **where)


def synchformer_in(file: WeightFile, config: AudioXConfig) -> SynchformerFile:
    """The Synchformer of a model's own file, or of one of its own.

    Raises:
        WeightsError: there is none, it is not whole, or its features do not fit the model.
    """
    prefix = SYNC + SYNC_ENCODER if file.below(SYNC) else SYNC_ENCODER
    if not file.below(prefix):
        raise WeightsError(
            f"{file.path.name} is not a Synchformer: it has no tensors '{prefix}…'. Use "
            "synchformer_state_dict.pth (`python -m audiox_core fetch synchformer`)."
        )
    sizes = synchformer_sizes(file.shapes, prefix)
    if sizes.width != config.video.clip.width:
        raise WeightsError(
            f"{file.path.name} outputs features of width {sizes.width}, but the model expects "
            f"{config.video.clip.width}: use synchformer_state_dict.pth of the release."
        )
    check_below(file, prefix, layout.synchformer_layout(sizes, prefix), "Synchformer")
    return SynchformerFile(file, prefix, sizes)
