"""The diffusion transformer as a native MODEL: ComfyUI samples it, moves it, patches it.

Axes: `b` batch, `w` windows, `c` channels, `t` latent frames, `s` condition tokens, `d` width.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management as mm
import comfy.model_patcher
import comfy.patcher_extension
import comfy.supported_models_base
import torch

from ...audiox_core.checkpoint.checkpoint_file import CheckpointFile, open_checkpoint
from ...audiox_core.checkpoint.convert import STORED_DTYPES
from ...audiox_core.checkpoint.layout import DIT
from ...audiox_core.checkpoint.scaled_float8 import FLOAT8, SCALED_FLOAT8
from ...audiox_core.errors import SettingsError
from ...audiox_core.pipeline.run_cache import RunCache
from ...audiox_core.windows import plan_frames
from .audio_latent import audio_latent, plain
from .backbone import RUN, Condition, ConditionsCond, HostAttention, native_backbone
from .compiling import announce_compiling
from .conditioning import tokens_of_a_run
from .live_preview import with_previews
from .loop import is_loop, loop_latent, with_loops
from .memory import CONDITIONS, cache_limit, condition_shapes, step_bytes
from .prompt_masks import LOOP, used_windows, with_masks
from .quantized import announce, as_stored, find_scales, host_state, with_scaled_convolutions
from .refused import check_conditioning, check_guidance, check_unknown, explain
from .saving import for_saving, with_range

WEIGHT_DTYPES = {
    "default": None,
    **STORED_DTYPES,
    SCALED_FLOAT8: FLOAT8,
}
MODEL_TYPES = {"v": "V_PREDICTION_CONTINUOUS", "rectified_flow": "FLOW"}
COMPUTES_IN = [torch.float16, torch.bfloat16, torch.float32]


class AudioXModel(comfy.model_base.BaseModel):
    """What ComfyUI's samplers call."""

    def __init__(self, host_config: Any, file: CheckpointFile, device: Any, build: Any) -> None:
        kind = getattr(comfy.model_base.ModelType, MODEL_TYPES[file.config.objective])
        super().__init__(host_config, kind, device=device, unet_model=build)
        self.audiox, self.audiox_path = file.config, file.path
        self.trained_sampling = type(self.model_sampling).__bases__

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        noise = kwargs["noise"]
        if noise.ndim != 3 or noise.shape[1] != self.audiox.latent.channels:
            raise SettingsError(
                f"The latent has the shape {tuple(noise.shape)}: AudioX samples (batch, "
                f"{self.audiox.latent.channels}, frames). Connect AudioX Empty Latent."
            )
        self._check_sampling()
        check_conditioning(kwargs)
        plan = plan_frames(self.audiox.latent, noise.shape[-1], kwargs.get(LOOP, False))
        tokens = tokens_of_a_run(kwargs, self.audiox, plan)
        return {
            "c_crossattn": comfy.conds.CONDRegular(tokens[None].to(kwargs["device"])),
            "audiox_plan": comfy.conds.CONDConstant(plan),
            "audiox_conditions": ConditionsCond(
                Condition(
                    null=not tokens.any(),
                    hooked=kwargs.get("hooks") is not None,
                    windows=used_windows(kwargs.get("mask"), plan),
                )
            ),
        }

    def _check_sampling(self) -> None:
        """Nodes may change the range of the noise, not how the model reads it."""
        sampling = self.model_sampling
        ends = torch.tensor(
            [float(sampling.sigma_min), float(sampling.sigma_max)], dtype=torch.float32
        )
        first, last = sampling.timestep(ends).tolist()
        if not isinstance(sampling, self.trained_sampling) or not 0 <= first <= last <= 1:
            raise SettingsError(
                "A ModelSampling node changed the noise parametrization of the model: remove "
                "it. To change the noise range, use AudioX Scheduler."
            )

    def resize_cond_for_context_window(self, _key: str, value: Any, *_: Any, **__: Any) -> Any:
        """Nothing of ours is cut by its length: `NativeDiT` says what is wrong instead."""
        return value

    def state_dict_for_saving(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What ComfyUI's save nodes write."""
        state = super().state_dict_for_saving(*args, **kwargs)
        config = with_range(self.audiox, self.model_sampling)
        return for_saving(state, config, self.audiox_path, self.model_config)

    def extra_conds_shapes(self, **conditioning: Any) -> dict[str, list[int]]:
        """ComfyUI asks before it loads the model."""
        return condition_shapes(conditioning)

    def memory_required(
        self,
        input_shape: Sequence[int],
        cond_shapes: Mapping[str, Sequence[Any]] = MappingProxyType({}),
        **_others: Any,
    ) -> float:
        """Bytes of one forward, counted from the layers; bounded, however long the sound is."""
        size = mm.dtype_size(self.manual_cast_dtype or self.get_dtype())
        conditions = len(cond_shapes[CONDITIONS]) if CONDITIONS in cond_shapes else 1
        return step_bytes(self.audiox, input_shape, conditions, size)


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


def cache_conditions(
    executor: Any,
    noise: Any,
    latent_image: Any,
    sampler: Any,
    sigmas: Any,
    denoise_mask: Any = None,
    callback: Any = None,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Keep prepared conditions for one sampling run: a wrapper around all of it."""
    guider, loop = executor.class_obj, is_loop(latent_image)
    check_guidance(guider.model_options)
    check_unknown(guider.conds)
    patcher = guider.model_patcher
    announce_compiling(patcher)
    if loop and callback is not None:
        callback = with_loops(callback)
    callback = with_previews(callback, patcher, len(sigmas) - 1, patcher.load_device)
    guider.conds = with_masks(guider.conds, noise, patcher.model.audiox.latent, loop)
    options = guider.model_options.setdefault("transformer_options", {})
    cache = options[RUN] = RunCache(cache_limit())
    try:
        made = executor(
            noise, plain(latent_image), sampler, sigmas, denoise_mask, callback, *args, **kwargs
        )
        return loop_latent(made) if loop else audio_latent(made)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        explain(error)
        raise
    finally:
        cache.clear()
        options.pop(RUN, None)


def load_model(
    file: CheckpointFile, weight_dtype: str = "default", disable_dynamic: bool = False
) -> Any:
    """A checkpoint's transformer -> MODEL.

    Args:
        file: of the checkpoint.
        weight_dtype: a key of `WEIGHT_DTYPES`.
        disable_dynamic: ComfyUI asks so for a plain patcher.
    """
    audiox, stored = file.config, as_stored(file, weight_dtype)
    device, offload = mm.get_torch_device(), mm.unet_offload_device()
    # FreeU asks for it before its patch is refused in the forward
    host = HostConfig({"model_channels": audiox.dit.width})
    if stored is None:
        dtype = WEIGHT_DTYPES[weight_dtype] or default_dtype(file)
        cast = mm.unet_manual_cast(dtype, device, COMPUTES_IN)
    else:
        dtype = cast = mm.unet_manual_cast(None, device, COMPUTES_IN)
        announce(host, stored)

    def build(*, operations: Any, **_where: Any) -> Any:
        native = partial(native_backbone, dtype=dtype)
        where = {"dtype": dtype, "attention": HostAttention(), "build": native}
        if stored is None:
            return file.load_backbone(ops=operations, **where)
        ops = with_scaled_convolutions(operations)
        scales = find_scales(partial(native, audiox.dit, ops=ops, attention=HostAttention()))
        return stored.load_backbone(ops=ops, packed=partial(host_state, scales=scales), **where)

    if audiox.objective == "rectified_flow":  # else ComfyUI counts its time to 1000
        host.sampling_settings = {"multiplier": 1.0, "shift": 1.0}
    else:
        sampling = audiox.sampling
        host.sampling_settings = {"sigma_min": sampling.sigma_min, "sigma_max": sampling.sigma_max}
    host.set_inference_dtype(dtype, cast)
    model = AudioXModel(host, file, offload, build)
    kind = comfy.model_patcher.ModelPatcher
    if not disable_dynamic:  # looked up here: ComfyUI exchanges the class at its start
        kind = getattr(comfy.model_patcher, "CoreModelPatcher", kind)
    patcher = kind(model, load_device=device, offload_device=offload)
    patcher.cached_patcher_init = (_reload_model, (file.path, file.variant, weight_dtype))
    wrapper = comfy.patcher_extension.WrappersMP.OUTER_SAMPLE
    patcher.add_wrapper_with_key(wrapper, "audiox", cache_conditions)
    return patcher


def default_dtype(file: CheckpointFile) -> torch.dtype:
    """What ComfyUI chooses for the transformer of a file."""
    stored = [file.weights.tensors[name] for name in file.weights.below(DIT)]
    counts: Counter[torch.dtype] = Counter()
    for tensor in stored:
        counts[tensor.dtype] += tensor.elements
    return mm.unet_dtype(
        model_params=counts.total(),
        supported_dtypes=COMPUTES_IN,
        weight_dtype=counts.most_common(1)[0][0] if counts else None,
    )


def _reload_model(
    path: Path, variant: str, weight_dtype: str, disable_dynamic: bool = False
) -> Any:
    """The same MODEL again, for ComfyUI; the variant is known, so the model is not probed."""
    return load_model(open_checkpoint(path, variant=variant), weight_dtype, disable_dynamic)
