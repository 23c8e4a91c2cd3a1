"""ComfyUI's own sampling with our defaults: its guider, its solvers, its memory manager.

Two things are ours: the noise of every step is drawn for each item of a batch from (seed, index),
so that take k of a batch can be made again alone; and cfg is rescaled as AudioX was sampled.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from torch import Tensor

from ...audiox_core.config import AudioXConfig, SamplingConfig
from ...audiox_core.diffusion.guidance import guide_denoised
from ...audiox_core.diffusion.noise import initial_noise, step_noise
from ...audiox_core.diffusion.objectives import OBJECTIVES, Objective
from ...audiox_core.errors import SettingsError
from ...audiox_core.limits import check_denoise, check_numbers
from ...audiox_core.pipeline.sampling import run_sigmas
from .refused import check_noise_mask, check_rescale
from .schema import OWN

ONE_BY_ONE = {"dpm_adaptive"}  # whose steps depend on the whole batch


def config_of(model: Any) -> AudioXConfig:
    """The settings of a MODEL. Raises SettingsError if it is not an AudioX model."""
    config = getattr(model.model, "audiox", None)
    if config is None:
        raise SettingsError(
            "This is not an AudioX model: connect AudioX Load Checkpoint or AudioX Load Model."
        )
    return config


def settings(model: Any, **widgets: Any) -> SamplingConfig:
    """The settings of a run: those of the widgets, and the model's own where a widget says so.

    Args:
        model: MODEL.
        widgets: fields of `SamplingConfig`. The model's own value is `OWN` for a name, -1 for cfg
            and cfg_rescale, and 0 for the others.
    """
    own = {"cfg": -1, "cfg_rescale": -1, "sampler": OWN}
    chosen = {name: v for name, v in widgets.items() if v != own.get(name, 0)}
    sampling = replace(config_of(model).sampling, **chosen)
    check_numbers(sampling)  # a linked value may be anything
    return sampling


def sigmas_of(model: Any, sampling: SamplingConfig, scheduler: str, denoise: float) -> Tensor:
    """Sigmas of a run, by the checkpoint's own schedule or one of ComfyUI's."""
    check_denoise(denoise)
    if scheduler == OWN:
        return run_sigmas(config_of(model), sampling, denoise)
    return comfy.samplers.KSampler(
        model,
        steps=sampling.steps,
        device="cpu",
        sampler=sampling.sampler,
        scheduler=scheduler,
        denoise=denoise,
        model_options=model.model_options,
    ).sigmas


def sample(
    model: Any,
    positive: list,
    negative: list,
    latent: Mapping[str, Any],
    *,
    seed: int,
    sampling: SamplingConfig,
    sigmas: Tensor,
    own_noise: bool = True,
) -> dict[str, Any]:
    """Sample: noise, or an existing latent -> a denoised latent.

    Args:
        model, positive, negative, latent: ComfyUI's objects.
        seed: of the noise.
        sampling: its sampler, cfg and cfg_rescale are used.
        sigmas: decreasing; the last is 0.
        own_noise: False leaves the noise of the steps to ComfyUI.
    """
    check_noise_mask(latent.get("noise_mask"))
    start = _filled(model, latent)
    items = list(latent.get("batch_index") or range(len(start)))
    model = with_rescale(model, sampling.cfg_rescale)
    groups = [[i] for i in range(len(start))] if sampling.sampler in ONE_BY_ONE else [...]
    callback = latent_preview.prepare_callback(model, len(sigmas) - 1)
    done = []
    for group in groups:
        part = start if group is ... else start[group]
        numbers = items if group is ... else [items[i] for i in group]
        noise = initial_noise((max(numbers) + 1, *part.shape[1:]), seed)[numbers]
        done.append(
            comfy.sample.sample_custom(
                model,
                noise,
                sampling.cfg,
                _sampler(sampling.sampler, part, seed, numbers)
                if own_noise
                else comfy.samplers.sampler_object(sampling.sampler),
                sigmas,
                positive,
                negative,
                part,
                noise_mask=_mask(latent, group),
                callback=callback,
                disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
                seed=seed,
            )
        )
    kept = {key: value for key, value in latent.items() if not key.startswith("downscale_ratio")}
    return {**kept, "samples": torch.cat(done)}


def _filled(model: Any, latent: Mapping[str, Any]) -> Tensor:
    """The latent as ComfyUI's samplers take it: an empty one of another model fits itself."""
    fix = comfy.sample.fix_empty_latent_channels
    if not all(latent["samples"].shape):
        raise SettingsError(
            f"The latent has the shape {tuple(latent['samples'].shape)} and is empty: connect "
            "AudioX Empty Latent."
        )
    names = [name for name in inspect.signature(fix).parameters if name in latent]
    return fix(model, latent["samples"], **{name: latent[name] for name in names})


def _mask(latent: Mapping[str, Any], group: Any) -> Tensor | None:
    mask = latent.get("noise_mask")
    return mask if mask is None or group is ... or len(mask) == 1 else mask[group]


def _sampler(name: str, start: Tensor, seed: int, items: Sequence[int]) -> Any:
    """ComfyUI's sampler, with the noise of its steps drawn for each item."""
    sampler = comfy.samplers.sampler_object(name)
    if "noise_sampler" not in inspect.signature(sampler.sampler_function).parameters:
        return sampler
    draw, moved = step_noise(start.float(), seed, items=items), {}

    def noise_sampler(*sigmas: Any) -> Tensor:
        return draw(*sigmas).to(moved.setdefault("device", sigmas[0].device))

    sampler.extra_options = {**sampler.extra_options, "noise_sampler": noise_sampler}
    return sampler


def with_rescale(model: Any, rescale: float) -> Any:
    """A MODEL whose guidance is rescaled as AudioX does it; the same MODEL for 0."""
    if not rescale:
        return model
    check_rescale(model.model_options, rescale)
    model = model.clone()
    objective = OBJECTIVES[config_of(model).objective]
    model.set_model_sampler_cfg_function(_rescaled_cfg(rescale, objective))
    return model


def _rescaled_cfg(rescale: float, objective: Objective) -> Any:
    def combine(args: Mapping[str, Any]) -> Tensor:
        x = args["input"]
        guided = guide_denoised(
            args["cond_denoised"],
            args["uncond_denoised"],
            x,
            args["sigma"],
            cfg=args["cond_scale"],
            rescale=rescale,
            scalings=objective.scalings,
        )
        return x - guided  # ComfyUI takes it as a difference

    return combine
