"""The Oobleck VAE as a native VAE.

Axes: `b` batch, `c` channels, `n` audio samples, `t` latent frames.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy.model_management as mm
import comfy.model_patcher
import comfy.ops
import comfy.sd
import comfy.utils
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ...audiox_core.checkpoint.part_files import VaeFile, open_vae
from ...audiox_core.checkpoint.saved_names import CONFIG
from ...audiox_core.checkpoint.saving import vae_config
from ...audiox_core.config import LatentConfig
from ...audiox_core.errors import SettingsError
from ...audiox_core.models.oobleck import CHUNK, ChunkedOobleck, Oobleck
from ...audiox_core.pipeline.decode import decode_loop
from ...audiox_core.pipeline.sampling import check_latent
from .audio_latent import AudioLatent, audio_latent, plain
from .loop import is_loop

# As the core chooses on CUDA (`device.choose_precision`), where ComfyUI's rules allow float16. In
# bfloat16 the decoded audio is 3 dB off.
DTYPES = [torch.float16, torch.float32]


def show_progress(done: float) -> None:
    """Move the bar of the node that runs to a share, 0..1."""
    comfy.utils.ProgressBar(100).update_absolute(round(100 * done))


class InterruptibleOobleck(nn.Module):
    """The VAE in pieces, as ComfyUI calls it: the memory stays flat, Stop works between pieces."""

    def __init__(self, oobleck: Oobleck) -> None:
        super().__init__()
        self.oobleck = oobleck

    def encode(self, audio: Tensor) -> Tensor:
        """Audio `b c n` of any channels -> the latents' mean `b c t`; the last frame is padded."""
        if audio.ndim != 3:
            raise SettingsError(
                "This VAE encodes sound, not pictures: connect the VAE of a picture model, or "
                "describe the picture with AudioX Encode Image."
            )
        stereo = audio.expand(-1, 2, -1) if audio.shape[1] == 1 else audio[:, :2]
        whole = pad(stereo, (0, -audio.shape[-1] % self.oobleck.config.hop_length))
        vae = self._chunked(audio.device)
        return torch.cat([vae.encode(item[None]).mean for item in whole])

    def decode(self, latent: Tensor, **_options: Any) -> Tensor:
        """Latents `b c t` -> audio `b 2 n`; the ends of a loop fit together."""
        check_latent(latent, self.oobleck.config.latent_channels)
        decode = self._chunked(latent.device).decode
        if is_loop(latent):  # from VAE Decode Audio; AudioX Decode has already seen to it
            return decode_loop(decode, plain(latent), self.oobleck.config.hop_length)
        return decode(plain(latent))

    def _chunked(self, device: torch.device) -> ChunkedOobleck:
        return ChunkedOobleck(
            self.oobleck,
            device,
            mm.throw_exception_if_processing_interrupted,
            show_progress,
        )


class NativeVae(comfy.sd.VAE):
    """ComfyUI's VAE around ours; all attributes that its methods read are set here."""

    def __init__(self, oobleck: Oobleck, latent_format: LatentConfig) -> None:
        nothing = {"extra_1d_channel": None, "crop_input": False, "not_video": False}
        self.__dict__.update(nothing, size=None, handles_tiling=False, format_encoded=None)
        self.first_stage_model = InterruptibleOobleck(oobleck).eval()
        self.audiox_latents = latent_format
        self.device, self.output_device = mm.vae_device(), mm.intermediate_device()
        self.working_dtypes = DTYPES
        self.vae_dtype = oobleck.dtype
        self.disable_offload = False
        self.latent_dim, self.latent_channels, self.output_channels = 1, latent_format.channels, 2
        self.downscale_ratio = self.upscale_ratio = latent_format.hop_length
        self.downscale_index_formula = self.upscale_index_formula = None
        self.process_input = self.process_output = _identity
        self.audio_sample_rate = latent_format.sample_rate
        self.pad_channel_value = "replicate"  # mono -> stereo
        # measured at full size: about 7 values a sample and channel of the widest layer
        per_frame = 7 * oobleck.config.channels * latent_format.hop_length

        def memory(frames: float, dtype: torch.dtype) -> float:
            return per_frame * min(frames, CHUNK) * mm.dtype_size(dtype)

        self.memory_used_decode = lambda shape, dtype: memory(shape[-1], dtype)
        self.memory_used_encode = lambda shape, dtype: memory(
            shape[-1] / latent_format.hop_length, dtype
        )
        kind = comfy.model_patcher.ModelPatcher
        kind = getattr(comfy.model_patcher, "CoreModelPatcher", kind)
        archive = getattr(mm, "archive_model_dtypes", None)
        if archive is not None:
            archive(self.first_stage_model)
        self.patcher = kind(
            self.first_stage_model, load_device=self.device, offload_device=mm.vae_offload_device()
        )

    def get_sd(self) -> dict[str, Tensor]:
        """What ComfyUI's save nodes write."""
        oobleck = self.first_stage_model.oobleck.config
        return {**super().get_sd(), CONFIG: vae_config(oobleck, self.audiox_latents)}

    def encode(self, *args: Any, **kwargs: Any) -> AudioLatent:
        """Audio -> latents `b c t`, as ComfyUI's VAE encodes."""
        return audio_latent(super().encode(*args, **kwargs))


def _identity(x: Tensor) -> Tensor:
    return x


def load_vae(file: VaeFile) -> NativeVae:
    """The VAE of a file, or of the checkpoint that it was found for -> VAE."""
    dtype = mm.vae_dtype(mm.vae_device(), DTYPES)
    native = NativeVae(file.load(dtype=dtype, ops=comfy.ops.disable_weight_init), file.latent)
    native.patcher.cached_patcher_init = (_reload_patcher, (file.weights.path, file.latent))
    return native


def _reload_patcher(path: Path, latent: LatentConfig, disable_dynamic: bool = False) -> Any:
    """The patcher of the same VAE again, for ComfyUI."""
    loaded = load_vae(replace(open_vae(path), latent=latent))
    if disable_dynamic:
        return comfy.model_patcher.ModelPatcher(
            loaded.first_stage_model, loaded.device, mm.vae_offload_device()
        )
    return loaded.patcher
