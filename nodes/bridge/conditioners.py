"""AUDIOX_CONDITIONERS: the encoders of a checkpoint, each under ComfyUI's memory manager.

They come from transformers and take no host layers, so they are loaded whole and freed whole.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import comfy.model_management as mm
import comfy.model_patcher
import comfy.utils
import torch
from torch import Tensor, nn

from ...audiox_core.checkpoint.companions import search_text_encoder
from ...audiox_core.checkpoint.layout import TEXT
from ...audiox_core.checkpoint.load import load_checkpoint
from ...audiox_core.checkpoint.weight_file import open_weights
from ...audiox_core.conditioners.assemble import Conditioners
from ...audiox_core.conditioners.host import ModelHost, Part
from ...audiox_core.config import AudioXConfig
from .files import text_encoder_path


class NativeConditioners(ModelHost):
    """The conditioners of a checkpoint; ComfyUI moves one to the GPU when a step uses it."""

    def __init__(
        self, modules: Conditioners, config: AudioXConfig, path: Path,
        patchers: Mapping[str, Any] | None = None, vae: Any = None,
    ) -> None:  # fmt: skip
        """Args:
        modules, config, path: of the checkpoint.
        patchers: of the modules, by name; None makes them.
        vae: a native VAE to encode with; None takes the checkpoint's own.
        """
        self.conditioners, self.config, self._vae, self.path = modules, config, vae, path
        self.patchers = _patchers(modules) if patchers is None else patchers

    def with_vae(self, vae: Any) -> "NativeConditioners":
        """The same conditioners, which encode with the VAE that a node is connected to."""
        return NativeConditioners(self.conditioners, self.config, self.path, self.patchers, vae)

    def get_models(self) -> list[Any]:
        """ComfyUI looks here for what it may unload."""
        return list(self.patchers.values())

    def use(self, name: Part) -> nn.Module:
        if name == "vae":
            return self._own_vae() if self._vae is None else _loaded_vae(self._vae, self.config)
        patcher = self.patchers[name]
        needed = patcher.model.activation_bytes() if name == "sync" else 0
        mm.load_models_gpu([patcher], memory_required=needed, force_full_load=True)
        return patcher.model

    def device_of(self, name: Part) -> torch.device:
        return mm.vae_device() if name == "vae" else self.patchers[name].load_device

    def progress(self, done: float) -> None:
        comfy.utils.ProgressBar(100).update_absolute(round(100 * done))

    def check_interrupt(self) -> None:
        mm.throw_exception_if_processing_interrupted()

    def keep(self, tokens: Tensor) -> Tensor:
        return tokens.detach().float().to(mm.intermediate_device())

    def _own_vae(self) -> nn.Module:
        """The VAE of the checkpoint, loaded for the one step that encodes silence."""
        vae = load_checkpoint(self.path, parts=("vae",), variant=self.config.variant).vae
        patcher = comfy.model_patcher.ModelPatcher(vae, mm.vae_device(), mm.vae_offload_device())
        mm.load_models_gpu([patcher], force_full_load=True)
        return vae


def _patchers(modules: Conditioners) -> dict[str, Any]:
    device, offload = mm.text_encoder_device(), mm.text_encoder_offload_device()
    if modules.sync is not None and mm.should_use_fp16(device):
        modules.sync.half()  # of all encoders the one that computes for long
    return {
        name: comfy.model_patcher.ModelPatcher(module, device, offload)
        for name, module in modules.named_children()
    }


def _loaded_vae(vae: Any, config: AudioXConfig) -> nn.Module:
    samples = config.latent.samples(config.latent.conditioned_seconds)
    needed = vae.memory_used_encode((1, 2, samples), vae.vae_dtype)
    mm.load_models_gpu([vae.patcher], memory_required=needed)
    return vae.first_stage_model.oobleck


def load_conditioners(path: Path, variant: str | None = None) -> NativeConditioners:
    """The conditioners of a checkpoint; its text encoder where there is one, beside it or ours."""
    file = open_weights(path)
    text = None if file.below(TEXT) else text_encoder_path() or search_text_encoder(file.path)
    parts = ["video", "audio", *(["text"] if text is not None or file.below(TEXT) else [])]
    loaded = load_checkpoint(path, parts=parts, text_encoder=text, variant=variant)
    return NativeConditioners(loaded.conditioners, loaded.config, path)
