"""AUDIOX_CONDITIONERS: the encoders of a checkpoint, each under ComfyUI's memory manager.

They come from transformers and take no host layers, so they are loaded whole and freed whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from ...audiox_core.conditioners.assemble import Conditioners, Conditioning, assemble
from ...audiox_core.conditioners.audio import encode_audio
from ...audiox_core.conditioners.text import encode_text
from ...audiox_core.conditioners.video import encode_image, encode_video
from ...audiox_core.config import AudioXConfig
from ...audiox_core.diffusion.noise import stream, unit_noise
from ...audiox_core.errors import SettingsError
from .files import text_encoder_path


@dataclass(frozen=True)
class Features:
    """AUDIOX_FEATURES: one modality's tokens."""

    kind: str  # "video" or "audio"
    tokens: Tensor  # `w s d`
    variant: str


class NativeConditioners:
    """The conditioners of a checkpoint; ComfyUI moves them to the GPU where one is used."""

    def __init__(self, modules: Conditioners, config: AudioXConfig) -> None:
        self.modules, self.config = modules, config
        device, offload = mm.text_encoder_device(), mm.text_encoder_offload_device()
        self.patchers = {
            name: comfy.model_patcher.ModelPatcher(module, device, offload)
            for name, module in modules.named_children()
        }

    def get_models(self) -> list[Any]:
        """ComfyUI looks here for what it may unload."""
        return list(self.patchers.values())

    def text(self, prompt: str) -> Tensor:
        """A prompt -> `1 s d`."""
        return _home(encode_text(self._load("text"), prompt))

    def has_text(self) -> bool:
        """Whether there is a text encoder of its own."""
        return "text" in self.patchers

    def video(self, windows: Sequence[Callable[[], Tensor]], hide: Sequence[tuple]) -> Features:
        """Frames of each window, read when their turn comes -> features."""
        module, progress, tokens = self._load("video"), comfy.utils.ProgressBar(len(windows)), []
        for read, spans in zip(windows, hide, strict=True):
            mm.throw_exception_if_processing_interrupted()
            tokens.append(_home(encode_video(module, read(), spans)))
            progress.update(1)
        return Features("video", torch.cat(tokens), self.config.variant)

    def image(self, pixels: Tensor) -> Features:
        """A still image `3 h w` in 0..255 -> features."""
        tokens = _home(encode_image(self._load("video"), pixels))
        return Features("video", tokens, self.config.variant)

    def audio(self, vae: Any, windows: Sequence[Tensor], hide: Sequence[tuple]) -> Features:
        """The sound `2 n` of each window -> features."""
        module, grid = self._load("audio"), self.config.latent
        progress, tokens = comfy.utils.ProgressBar(len(windows)), []
        mm.load_models_gpu([vae.patcher], memory_required=_encoding_memory(vae, windows))
        device = module.proj_out.weight.device
        shape = (1, grid.channels, self.config.audio_tokens)
        draws = stream(0, "audio prompt")  # drawn as in training, but the same every time
        for waveform, spans in zip(windows, hide, strict=True):
            encoded = encode_audio(
                module, _Coder(vae), waveform,
                samples=grid.samples(grid.described_seconds), sample_rate=grid.sample_rate,
                hide=spans, noise=unit_noise(shape, draws).to(device),
            )  # fmt: skip
            tokens.append(_home(encoded))
            progress.update(1)
        return Features("audio", torch.cat(tokens), self.config.variant)

    def assemble(self, **parts: Any) -> Conditioning:
        """As the core's `assemble`; the text encoder is loaded where the empty prompt is needed."""
        modules = self.modules
        if parts.get("empty_text") is None and self.has_text():
            parts["empty_text"] = self.text("")
        if parts.get("empty_text") is None and parts.get("text") is None:
            raise SettingsError(
                "The model needs a text, if only an empty one, and this checkpoint brings no text "
                "encoder: connect AudioX Encode Text with T5-base from CLIPLoader (type "
                "stable_audio) to its clip."
            )
        return assemble(modules, **parts)

    def _load(self, name: str) -> nn.Module:
        patcher = self.patchers[name]
        mm.load_models_gpu([patcher], force_full_load=True)
        return patcher.model


class _Coder:
    """The VAE as the audio conditioner calls it, in pieces."""

    def __init__(self, vae: Any) -> None:
        self.vae = vae

    def encode(self, audio: Tensor) -> Any:
        return self.vae.first_stage_model.posterior(audio.to(self.vae.device))


def _encoding_memory(vae: Any, windows: Sequence[Tensor]) -> float:
    return vae.memory_used_encode((1, 2, max(w.shape[-1] for w in windows)), vae.vae_dtype)


def _home(tokens: Tensor) -> Tensor:
    """Where ComfyUI keeps what nodes hand on."""
    return tokens.detach().float().to(mm.intermediate_device())


def load_conditioners(path: Path) -> NativeConditioners:
    """The conditioners of a checkpoint; its text encoder where there is one, beside it or ours."""
    file = open_weights(path)
    text = None if file.below(TEXT) else text_encoder_path() or search_text_encoder(file.path)
    parts = ["video", "audio", *(["text"] if text is not None or file.below(TEXT) else [])]
    loaded = load_checkpoint(path, parts=parts, text_encoder=text)
    return NativeConditioners(loaded.conditioners, loaded.config)
