"""The two encoders from transformers, without weights: T5 for text, CLIP for images."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import cast

import torch
from torch import Tensor, nn

from ..config import ClipConfig, TextConfig


def t5_encoder(config: TextConfig) -> nn.Module:
    """Build a T5 encoder without weights: token ids and mask in, `last_hidden_state` out."""
    transformers = load_transformers()
    return transformers.T5EncoderModel(
        transformers.T5Config(
            vocab_size=config.vocab_size,
            d_model=config.width,
            d_kv=config.head_dim,
            d_ff=config.ff_width,
            num_layers=config.depth,
            num_heads=config.heads,
            relative_attention_num_buckets=config.buckets,
            relative_attention_max_distance=config.max_distance,
            feed_forward_proj="gated-gelu" if config.gated else "relu",
        )
    )


def tie_embedding(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add the token embedding of T5, which is the shared one; files hold it once or twice."""
    return {**state, "encoder.embed_tokens.weight": state["shared.weight"]}


def clip_vision(config: ClipConfig) -> nn.Module:
    """Build a CLIP vision tower without weights: pixels `b 3 h w` in, `last_hidden_state` out."""
    transformers = load_transformers()
    tower = transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(
            hidden_size=config.width,
            intermediate_size=config.ff_width,
            num_hidden_layers=config.depth,
            num_attention_heads=config.heads,
            image_size=config.image,
            patch_size=config.patch,
            projection_dim=config.projection,
            hidden_act="quick_gelu",
            layer_norm_eps=1e-5,
        )
    )
    # not in the checkpoint: it must hold values even if the module is built on the meta device
    positions = torch.arange(config.tokens, device="cpu")[None]
    tower.vision_model.embeddings.register_buffer("position_ids", positions, persistent=False)
    return tower


@cache
def load_transformers() -> ModuleType:
    """Import transformers with the classes that are used here.

    It is imported at first use because that takes seconds. It imports torchaudio where that is
    installed, and fails if torchaudio does not load (such as torchaudio 2.11 with torch 2.15), so a
    broken torchaudio is hidden meanwhile.
    """
    with _hidden_if_broken("torchaudio"):
        transformers = importlib.import_module("transformers")
        for name in ("T5EncoderModel", "CLIPVisionModelWithProjection"):
            getattr(transformers, name)
    return transformers


@contextmanager
def _hidden_if_broken(package: str) -> Iterator[None]:
    """Make a package that is installed but does not load look as if it were not installed."""
    if importlib.util.find_spec(package) is None or _loads(package):
        yield
        return
    modules = cast(dict[str, ModuleType | None], sys.modules)
    modules[package] = None  # what Python itself writes for "not to be found"
    try:
        utils = importlib.import_module("transformers.utils.import_utils")
        utils.is_torchaudio_available.cache_clear()  # another pack may have asked before
        yield
    finally:
        del modules[package]


def _loads(package: str) -> bool:
    try:
        importlib.import_module(package)
    except Exception:  # ImportError, OSError, RuntimeError: whatever its own checks raise
        return False
    return True
