"""The diffusion transformer as a native MODEL: ComfyUI samples it, moves it, patches it.

Axes: `b` batch, `w` windows, `c` channels, `t` latent frames, `s` condition tokens, `d` width.
"""

from collections.abc import Sequence
from math import ceil, prod
from pathlib import Path
from typing import Any, ClassVar

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management as mm
import comfy.model_patcher
import comfy.supported_models_base
import torch
from comfy.ldm.modules.attention import optimized_attention
from einops import rearrange
from torch import Tensor

from ...audiox_core.checkpoint.companions import find_config
from ...audiox_core.checkpoint.detect import detect
from ...audiox_core.checkpoint.layout import DIT
from ...audiox_core.checkpoint.load import load_checkpoint
from ...audiox_core.checkpoint.weight_file import open_weights
from ...audiox_core.config import AudioXConfig, LatentConfig
from ...audiox_core.errors import SettingsError
from ...audiox_core.models.dit import DiT
from ...audiox_core.windows import ITEMS_AT_ONCE, over_windows, plan_frames
from .conditioning import tokens_of_a_run

WEIGHT_DTYPES = {
    "default": None,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float8_e4m3fn": torch.float8_e4m3fn,
}
COMPUTES_IN = [torch.float16, torch.bfloat16, torch.float32]
ATTENTION_OVERRIDE = "optimized_attention_override"  # how nodes exchange the attention kernel


class HostAttention:
    """ComfyUI's attention kernel; nodes that exchange it reach it through `options`."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return optimized_attention(
            q, k, v, q.shape[1], skip_reshape=True, transformer_options=self.options,
            low_precision_attention=False,
        )  # fmt: skip


class NativeDiT(DiT):
    """The transformer, called as ComfyUI calls a diffusion model: a latent of any length."""

    grid: LatentConfig
    dtype: torch.dtype  # of the weights

    def forward(
        self, x: Tensor, timesteps: Tensor, context: Tensor | None = None, *,
        transformer_options: dict[str, Any] | None = None, audiox_frames: int | None = None,
        **_others: Any,
    ) -> Tensor:  # fmt: skip
        """Predict v.

        Args:
            x: noisy latents, `b c t`, scaled to unit variance.
            timesteps: diffusion time in [0, 1], `b`.
            context: condition tokens, `b w s d`.
            transformer_options: ComfyUI's.
            audiox_frames: frames of the latent that is sampled.
        """
        if x.shape[-1] != audiox_frames:
            raise SettingsError(
                f"A node cut the latent of {audiox_frames} frames to {x.shape[-1]} (context "
                "windows, or a conditioning area). Remove it: AudioX makes sounds of any length "
                "by itself, and a time is repaired with AudioX Inpaint Latent."
            )
        options = transformer_options or {}
        self.transformer.layers[0].self_attn.attention.options = {
            key: options[key] for key in (ATTENTION_OVERRIDE,) if key in options
        }

        def predict(windows: Tensor, group: Sequence[int]) -> Tensor:
            batch, count = windows.shape[:2]
            own = context.shape[1] > 1
            tokens = context[:, list(group)] if own else context.expand(-1, count, -1, -1)
            predicted = super(NativeDiT, self).forward(
                rearrange(windows, "b w c t -> (b w) c t"),
                timesteps.repeat_interleave(count),
                rearrange(tokens, "b w s d -> (b w) s d"),
            )
            return rearrange(predicted, "(b w) c t -> b w c t", b=batch)

        return over_windows(x, plan_frames(self.grid, x.shape[-1]), predict)


class AudioXModel(comfy.model_base.BaseModel):
    """What ComfyUI's samplers call."""

    def __init__(self, host_config: Any, audiox: AudioXConfig, device: Any, build: Any) -> None:
        kind = comfy.model_base.ModelType.V_PREDICTION_CONTINUOUS
        super().__init__(host_config, kind, device=device, unet_model=build)
        self.audiox = audiox
        self.trained_sampling = type(self.model_sampling).__bases__

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        noise = kwargs["noise"]
        if noise.ndim != 3 or noise.shape[1] != self.audiox.latent.channels:
            raise SettingsError(
                f"The latent is {tuple(noise.shape)}: AudioX samples (batch, "
                f"{self.audiox.latent.channels}, frames). Connect AudioX Empty Latent."
            )
        self._check_sampling()
        plan = plan_frames(self.audiox.latent, noise.shape[-1])
        tokens = tokens_of_a_run(kwargs, self.audiox, plan)
        return {
            "c_crossattn": comfy.conds.CONDRegular(tokens[None].to(kwargs["device"])),
            "audiox_frames": comfy.conds.CONDConstant(noise.shape[-1]),
        }

    def _check_sampling(self) -> None:
        """Nodes may change the range of the noise, not how the model reads it."""
        sampling = self.model_sampling
        ends = torch.tensor([float(sampling.sigma_min), float(sampling.sigma_max)])
        first, last = sampling.timestep(ends).tolist()
        if not isinstance(sampling, self.trained_sampling) or not 0 <= first <= last <= 1:
            raise SettingsError(
                "A ModelSampling node changed how the model reads the noise, which this one was "
                "not trained for: remove it. The range of the noise may be changed, with "
                "ModelSamplingContinuousV or the sigmas of AudioX Scheduler."
            )

    def resize_cond_for_context_window(self, _key: str, value: Any, *_: Any, **__: Any) -> Any:
        """Nothing of ours is cut by its length: `NativeDiT` says what is wrong instead."""
        return value

    def memory_required(self, input_shape: Sequence[int], **_shapes: Any) -> float:
        """Bytes of one forward, counted from the layers; flat in the length of the sound."""
        dit, grid = self.audiox.dit, self.audiox.latent
        windows = max(1, ceil(input_shape[-1] / grid.window))
        rows = min(input_shape[0] * windows, max(ITEMS_AT_ONCE, input_shape[0]))
        tokens = self.audiox.video.tokens + self.audiox.text_tokens + self.audiox.audio_tokens
        # at its widest a block holds about 24 values a frame and width, 8 a condition token
        values = rows * dit.width * (24 * min(input_shape[-1], grid.window) + 8 * tokens)
        return values * mm.dtype_size(self.manual_cast_dtype or self.get_dtype())


class AudioXLatents(comfy.latent_formats.LatentFormat):
    """64 channels, 2048 samples a frame, no scale."""

    latent_channels = 64
    latent_dimensions = 1
    temporal_downscale_ratio = 2048  # newer samplers stretch foreign empty latents by it


class HostConfig(comfy.supported_models_base.BASE):
    """What ComfyUI asks about a kind of model."""

    unet_config: ClassVar[dict[str, Any]] = {}
    unet_extra_config: ClassVar[dict[str, Any]] = {}
    latent_format = AudioXLatents
    supported_inference_dtypes = COMPUTES_IN


def load_model(path: str, weight_dtype: str = "default", disable_dynamic: bool = False) -> Any:
    """A checkpoint's transformer -> MODEL.

    Args:
        path: of the file.
        weight_dtype: a key of `WEIGHT_DTYPES`.
        disable_dynamic: ComfyUI asks so for a plain patcher.
    """
    file = open_weights(Path(path))
    audiox, _ = detect(file, find_config(file.path))
    names = file.below(DIT)
    device, offload = mm.get_torch_device(), mm.unet_offload_device()
    dtype = WEIGHT_DTYPES[weight_dtype] or mm.unet_dtype(
        model_params=sum(prod(file.shapes[name]) for name in names),
        supported_dtypes=COMPUTES_IN,
        weight_dtype=file.tensors[names[0]].dtype if names else None,
    )

    def build(*, operations: Any, **_where: Any) -> NativeDiT:
        loaded = load_checkpoint(
            path, parts=("model",), dtype=dtype, ops=operations, attention=HostAttention(),
            transformer=NativeDiT,
        )  # fmt: skip
        loaded.model.grid, loaded.model.dtype = audiox.latent, dtype
        return loaded.model

    host = HostConfig({})
    host.sampling_settings = {
        "sigma_min": audiox.sampling.sigma_min, "sigma_max": audiox.sampling.sigma_max,
    }  # fmt: skip
    host.set_inference_dtype(dtype, mm.unet_manual_cast(dtype, device, COMPUTES_IN))
    model = AudioXModel(host, audiox, offload, build)
    kind = comfy.model_patcher.ModelPatcher
    if not disable_dynamic:  # looked up here: ComfyUI exchanges the class at its start
        kind = getattr(comfy.model_patcher, "CoreModelPatcher", kind)
    patcher = kind(model, load_device=device, offload_device=offload)
    patcher.cached_patcher_init = (load_model, (path, weight_dtype))
    return patcher
