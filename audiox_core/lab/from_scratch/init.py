"""Modules with the weights that training starts from."""

import os
from dataclasses import replace
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from ...conditioners.assemble import Conditioners
from ...conditioners.audio import AudioConditioner, audio_conditioner
from ...conditioners.text import TextConditioner
from ...conditioners.video import video_conditioner
from ...config import AudioXConfig, OobleckConfig
from ...errors import SettingsError
from ...models import Backbone, DiT, backbone
from ...models.clip import ClipVision
from ...models.maf import MAFBlock
from ...models.oobleck import Oobleck
from ...models.t5 import T5Encoder
from ...training.rng import seeded
from .position_init import init_frame_positions, init_positions
from .vae_init import init_vae

CLOSED = -10.0  # initial gates of the fusion: their sigmoid is almost 0
EXPERTS_STD = 0.02


def new_vae(config: OobleckConfig, seed: int) -> Oobleck:
    """A VAE that is initialised as a channel vocoder. Raises SettingsError if it is too large."""
    with torch.device("meta"):
        check_memory(Oobleck(config))
    with seeded(seed):
        vae = Oobleck(config)
    init_vae(vae)
    return vae


def new_model(
    config: AudioXConfig, tokenizer: Tokenizer, seed: int
) -> tuple[Backbone, Conditioners]:
    """A transformer and its conditioners with initial weights.

    Raises:
        SettingsError: they are too large for the memory of this machine.
    """
    video, text = config.video, config.text
    with torch.device("meta"):
        check_memory(backbone(config.dit), video_conditioner(video), T5Encoder(text))
    with seeded(seed):
        model = backbone(config.dit)
        conditioners = Conditioners(
            TextConditioner(
                T5Encoder(replace(text, vocab_size=tokenizer.get_vocab_size())),
                config.text_tokens,
                tokenizer,
            ),
            video_conditioner(video),
            audio_conditioner(config),
            maf=config.maf and MAFBlock(config.maf),
        )
        init_model(model)
        init_conditioners(conditioners)
    return model, conditioners


def check_memory(*modules: nn.Module) -> None:
    """Raise SettingsError if modules have more weights than this machine has memory for."""
    size = sum(4 * p.numel() for module in modules for p in module.parameters())
    if hasattr(os, "sysconf") and size > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        raise SettingsError(
            f"The weights of [model] take {size / 1e9:,.0f} GB, more than the memory of this "
            "machine: use smaller sizes."
        )


@torch.no_grad()
def init_model(model: Backbone) -> None:
    """Initialise blocks that add zero, but for positions; a DiT's weights are halved (release)."""
    nn.init.normal_(model.timestep_features.weight)
    blocks: Any = model.transformer.layers  # modules of modules have no types
    for layer in (model.preprocess_conv, model.postprocess_conv):
        nn.init.zeros_(layer.weight)
    if not isinstance(model, DiT):
        for block in blocks:  # all gates are 0
            nn.init.zeros_(block.adaLN_modulation[1].weight)
            nn.init.zeros_(block.adaLN_modulation[1].bias)
        return
    for block in blocks:
        last = block.ff.ff[2]
        for parameter in (
            block.self_attn.to_out.weight,
            block.cross_attn.to_out.weight,
            last.weight,
            last.bias,
        ):
            nn.init.zeros_(parameter)
    # the prediction is mostly the noise: the output starts as the input
    nn.init.orthogonal_(model.transformer.project_in.weight)
    model.transformer.project_out.weight.copy_(model.transformer.project_in.weight.T)
    for parameter in model.parameters():
        parameter.mul_(0.5)
    init_positions(model)


@torch.no_grad()
def init_conditioners(conditioners: Conditioners) -> None:
    """Initialise the encoders as published, absent features with zeros, and the fusion closed."""
    video, audio, maf = conditioners.video, conditioners.audio, conditioners.maf
    init_t5(conditioners.text.encoder)
    init_clip(video.visual_encoder_model)
    nn.init.zeros_(video.empty_visual_feat)
    init_frame_positions(video.Temp_pos_embedding)
    if video.config.sync is not None:
        nn.init.zeros_(video.sync_weight)
    if isinstance(audio, AudioConditioner):
        nn.init.zeros_(audio.empty_audio_feat)
    if maf is not None:
        nn.init.normal_(maf.unified_experts, std=EXPERTS_STD)
        for slot in "vta":
            nn.init.constant_(maf.get_parameter(f"bypass_gate_{slot}"), CLOSED)


@torch.no_grad()
def init_t5(encoder: T5Encoder) -> None:
    """Initialise a T5 encoder: the scale of the attention lies in the weights of the queries."""
    config = encoder.config
    fans = {  # the last part of a matrix's module -> what its variance is divided by
        "shared": 1,
        "q": config.width * config.head_dim,
        "o": config.heads * config.head_dim,
        "wo": config.ff_width,
    }
    for name, weight in encoder.named_parameters():
        if weight.ndim > 1:
            fan = fans.get(name.split(".")[-2], config.width)
            nn.init.normal_(weight, std=fan**-0.5)


@torch.no_grad()
def init_clip(tower: ClipVision) -> None:
    """Initialise an image tower: what a block adds is smaller the more blocks there are."""
    blocks: Any = tower.vision_model.encoder.layers
    width = tower.visual_projection.in_features
    deep = (2 * len(blocks)) ** -0.5
    scales = {  # the last part of a matrix's module -> its standard deviation
        "patch_embedding": 0.02,
        "position_embedding": 0.02,
        "fc1": (2 * width) ** -0.5,
        "fc2": width**-0.5 * deep,
        "out_proj": width**-0.5,
        "visual_projection": width**-0.5,
    }
    nn.init.normal_(tower.vision_model.embeddings.class_embedding, std=width**-0.5)
    for name, weight in tower.named_parameters():
        if weight.ndim > 1:
            nn.init.normal_(weight, std=scales.get(name.split(".")[-2], width**-0.5 * deep))
        elif name.endswith(".bias"):
            nn.init.zeros_(weight)
