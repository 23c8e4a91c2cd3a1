"""AUDIOX_CONDITIONERS: the encoders of a checkpoint, each under ComfyUI's memory manager.

They take no host layers, so they are loaded whole and freed whole.
"""

from collections.abc import Mapping
from typing import Any

import comfy.model_management as mm
import comfy.model_patcher
import torch
from torch import Tensor, nn

from ...audiox_core.checkpoint.auxiliary_files import fetch_command
from ...audiox_core.checkpoint.checkpoint_file import CheckpointFile
from ...audiox_core.conditioners.assemble import Conditioners
from ...audiox_core.conditioners.host import ModelHost, Part
from ...audiox_core.conditioners.missing_module import MissingModule, check_present
from ...audiox_core.config import AudioXConfig
from ...audiox_core.errors import WeightsError
from ...audiox_core.hub.models import FILES
from ...audiox_core.models.synchformer import Synchformer
from .vae import show_progress

NO_TEXT_ENCODER = (
    "This checkpoint has no text encoder, and the model needs one even for an empty prompt: "
    "connect CLIPLoader (T5-base, type stable_audio) to clip of AudioX Encode Text, or put T5-base "
    f"({FILES['t5-base.safetensors'].url}) into models/text_encoders. In the pack's folder, "
    "`{}` downloads it."
)


class NativeConditioners(ModelHost):
    """The conditioners of a checkpoint; ComfyUI moves one to the GPU when a step uses it."""

    def __init__(
        self,
        file: CheckpointFile,
        conditioners: Conditioners,
        patchers: Mapping[str, Any],
        vae: Any = None,
    ) -> None:
        """Put modules under ComfyUI's memory manager.

        Args:
            file: of the checkpoint.
            conditioners: its modules.
            patchers: of the modules, by name.
            vae: a native VAE to encode with; None takes the checkpoint's own.
        """
        self.file, self.config = file, file.config
        self.conditioners, self.patchers, self._vae = conditioners, patchers, vae

    def with_vae(self, vae: Any) -> "NativeConditioners":
        """The same conditioners, which encode with the VAE that a node is connected to."""
        return NativeConditioners(self.file, self.conditioners, self.patchers, vae)

    def get_models(self) -> list[Any]:
        """ComfyUI looks here for what it may unload."""
        return list(self.patchers.values())

    def _comfy_cache_tensors(self) -> list[Tensor]:
        """ComfyUI asks here for the size of what it caches."""
        models = (patcher.model for patcher in self.patchers.values())
        return [tensor for model in models for tensor in model.state_dict().values()]

    def use(self, name: Part) -> nn.Module:
        if name == "vae":
            return self._own_vae() if self._vae is None else _loaded_vae(self._vae, self.config)
        if name == "text" and name not in self.patchers:
            raise WeightsError(NO_TEXT_ENCODER.format(fetch_command("t5-base", self.file.path)))
        check_present(getattr(self.conditioners, name))
        patcher = self.patchers[name]
        needed = patcher.model.activation_bytes() if name == "sync" else 0
        mm.load_models_gpu([patcher], memory_required=needed, force_full_load=True)
        return patcher.model

    def device_of(self, name: Part) -> torch.device:
        return mm.vae_device() if name == "vae" else self.patchers[name].load_device

    def progress(self, done: float) -> None:
        show_progress(done)

    def check_interrupt(self) -> None:
        mm.throw_exception_if_processing_interrupted()

    def keep(self, tokens: Tensor) -> Tensor:
        return tokens.detach().float().to(mm.intermediate_device())

    def _own_vae(self) -> nn.Module:
        """The VAE of the checkpoint, loaded for the one step that encodes silence."""
        vae = self.file.load_vae()
        patcher = comfy.model_patcher.ModelPatcher(vae, mm.vae_device(), mm.vae_offload_device())
        mm.load_models_gpu([patcher], force_full_load=True)
        return vae


def load_conditioners(file: CheckpointFile) -> NativeConditioners:
    """The conditioners of a checkpoint -> AUDIOX_CONDITIONERS."""
    conditioners = file.load_conditioners()
    return NativeConditioners(file, conditioners, make_patchers(conditioners))


def make_patchers(conditioners: Conditioners) -> dict[str, Any]:
    """A ModelPatcher for each module, by name; modules that were not found have none."""
    device, offload = mm.text_encoder_device(), mm.text_encoder_offload_device()
    if isinstance(conditioners.sync, Synchformer) and mm.should_use_fp16(device):
        conditioners.sync.half()  # of all encoders the one that computes for long
    return {
        name: comfy.model_patcher.ModelPatcher(module, device, offload)
        for name, module in conditioners.named_children()
        if not isinstance(module, MissingModule)
    }


def _loaded_vae(vae: Any, config: AudioXConfig) -> nn.Module:
    samples = config.latent.samples(config.latent.conditioned_seconds)
    needed = vae.memory_used_encode((1, 2, samples), vae.vae_dtype)
    mm.load_models_gpu([vae.patcher], memory_required=needed)
    return vae.first_stage_model.oobleck
