"""AUDIOX_CONDITIONERS: the encoders of a checkpoint, each under ComfyUI's memory manager.

They come from transformers and take no host layers, so they are loaded whole and freed whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.model_management as mm
import comfy.model_patcher
import comfy.utils
import torch
from torch import Tensor, nn

from ...audiox_core.checkpoint import CheckpointFile
from ...audiox_core.conditioners.assemble import Conditioning, assemble
from ...audiox_core.conditioners.audio import encode_audio
from ...audiox_core.conditioners.missing import MissingModule, check_present
from ...audiox_core.conditioners.text import encode_text
from ...audiox_core.conditioners.video import (
    encode_image,
    encode_sync,
    encode_video,
    still_clip,
)
from ...audiox_core.diffusion.noise import stream, unit_noise
from ...audiox_core.errors import SettingsError
from ...audiox_core.models.synchformer import Synchformer


@dataclass(frozen=True)
class Features:
    """AUDIOX_FEATURES: one modality's tokens."""

    kind: str  # "video" or "audio"
    tokens: Tensor  # `w s d`
    variant: str


class NativeConditioners:
    """The conditioners of a checkpoint; ComfyUI moves them to the GPU where one is used."""

    def __init__(self, file: CheckpointFile) -> None:
        self.file, self.config = file, file.config
        self.modules = modules = file.load_conditioners()
        self.silence: Tensor | None = None
        device, offload = mm.text_encoder_device(), mm.text_encoder_offload_device()
        if isinstance(modules.sync, Synchformer) and mm.should_use_fp16(device):
            modules.sync.half()  # of all encoders the one that computes for long
        self.patchers = {
            name: comfy.model_patcher.ModelPatcher(module, device, offload)
            for name, module in modules.named_children()
            if not isinstance(module, MissingModule)
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

    def video(
        self, windows: Sequence[Callable[[], Sequence[Tensor]]], hide: Sequence[tuple]
    ) -> Features:
        """Frames of each window and grid, read when their turn comes -> features."""
        module, synchformer = self._eyes()
        progress, tokens = comfy.utils.ProgressBar(100 * len(windows)), []
        for index, (read, spans) in enumerate(zip(windows, hide, strict=True)):
            mm.throw_exception_if_processing_interrupted()
            frames, *more = read()
            sync = self._sync(synchformer, more, spans, partial(_tell, progress, index))
            tokens.append(_home(encode_video(module, frames, spans, sync=sync)))
            _tell(progress, index, 1.0)
        return Features("video", torch.cat(tokens), self.config.variant)

    def image(self, pixels: Tensor) -> Features:
        """A still image `3 h w` in 0..255 -> features."""
        module, synchformer = self._eyes()
        clips = [] if synchformer is None else [still_clip(pixels, self.config.video.sync)]
        sync = self._sync(synchformer, clips, ())
        tokens = _home(encode_image(module, pixels, sync=sync))
        return Features("video", tokens, self.config.variant)

    def _eyes(self) -> tuple[nn.Module, nn.Module | None]:
        """What looks at pictures, on its device: CLIP with its transformer, and Synchformer."""
        if self.config.video.sync is None:
            return self._load("video"), None
        check_present(self.modules.sync)
        patchers = [self.patchers["video"], self.patchers["sync"]]
        needed = self.modules.sync.activation_bytes()
        mm.load_models_gpu(patchers, memory_required=needed, force_full_load=True)
        return patchers[0].model, patchers[1].model

    def _sync(
        self, synchformer: nn.Module | None, clips: Sequence[Tensor], hide: tuple,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> Tensor | None:  # fmt: skip
        """The second look at a clip, where the model takes one; it stops when ComfyUI does."""
        if synchformer is None:
            return None

        def look_up(share: float) -> None:
            mm.throw_exception_if_processing_interrupted()
            on_progress(share)

        return encode_sync(synchformer, clips[0], self.config.video.sync.fps, hide, look_up)

    def audio(self, vae: Any, windows: Sequence[Tensor], hide: Sequence[tuple]) -> Features:
        """The sound `2 n` of each window -> features."""
        grid, latents = self.config.latent, self.config.prompt_latents
        progress, tokens = comfy.utils.ProgressBar(len(windows)), []
        if latents:  # the VAE first: it is large, the conditioner small
            mm.load_models_gpu([vae.patcher], memory_required=_encoding_memory(vae, windows))
        module = self._load("audio")
        device = next(module.parameters()).device
        shape = (1, grid.channels, latents)
        draws = stream(0, "audio prompt")  # drawn as in training, but the same every time
        for waveform, spans in zip(windows, hide, strict=True):
            encoded = encode_audio(
                module, _Coder(vae), waveform,
                samples=grid.samples(grid.conditioned_seconds), sample_rate=grid.sample_rate,
                hide=spans, noise=unit_noise(shape, draws).to(device),
            )  # fmt: skip
            tokens.append(_home(encoded))
            progress.update(1)
        return Features("audio", torch.cat(tokens), self.config.variant)

    def assemble(self, **parts: Any) -> Conditioning:
        """As the core's `assemble`; the text encoder is loaded where the empty prompt is needed."""
        if parts.get("empty_text") is None and self.has_text():
            parts["empty_text"] = self.text("")
        if parts.get("empty_text") is None and parts.get("text") is None:
            raise SettingsError(
                "The model needs a text, if only an empty one, and this checkpoint brings no text "
                "encoder: connect AudioX Encode Text with T5-base from CLIPLoader (type "
                "stable_audio) to its clip."
            )
        if self.config.maf is not None:
            self._load("maf")
        return assemble(self.modules, absent_audio=self._absent_audio, **parts)

    def _absent_audio(self) -> Tensor:
        """What no audio prompt is, `1 s d`; made once where silence has to be encoded for it."""
        if self.config.audio_latents is None:
            return self.modules.audio.absent()
        if self.silence is None:
            self.silence = _home(self._load("audio").absent(self._vae()))
        return self.silence

    def _vae(self) -> nn.Module | None:
        """The VAE for a moment, where the conditioners bring no copy of their own."""
        if self.modules.audio.vae is not None:
            return None
        vae = self.file.load_vae()
        patcher = comfy.model_patcher.ModelPatcher(vae, mm.vae_device(), mm.vae_offload_device())
        mm.load_models_gpu([patcher], force_full_load=True)
        return vae

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


def _tell(progress: Any, window: int, share: float) -> None:
    progress.update_absolute(round(100 * (window + share)))


def _encoding_memory(vae: Any, windows: Sequence[Tensor]) -> float:
    return vae.memory_used_encode((1, 2, max(w.shape[-1] for w in windows)), vae.vae_dtype)


def _home(tokens: Tensor) -> Tensor:
    """Where ComfyUI keeps what nodes hand on."""
    return tokens.detach().float().to(mm.intermediate_device())


def load_conditioners(file: CheckpointFile) -> NativeConditioners:
    """The conditioners of a checkpoint -> AUDIOX_CONDITIONERS."""
    return NativeConditioners(file)
