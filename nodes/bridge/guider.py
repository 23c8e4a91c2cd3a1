"""GUIDER: guidance with a weight for each modality, for SamplerCustomAdvanced."""

from collections.abc import Mapping, Sequence
from typing import Any

import comfy.samplers
from torch import Tensor

from ...audiox_core.diffusion.guidance import join_branches
from ...audiox_core.pipeline.encode import Features, Strengths
from ...audiox_core.pipeline.modality_guidance import (
    GuidanceWeights,
    guidance_branches,
    used_modalities,
)
from .conditioners import NativeConditioners
from .encode import masked_conditioning
from .sampling import config_of, settings, with_rescale


class ModalityGuider(comfy.samplers.CFGGuider):
    """A CFGGuider of several positive conditionings, each with one modality more.

    A single one is ordinary guidance, by the code of ComfyUI.
    """

    def __init__(
        self, model: Any, weights: Sequence[float], positives: Sequence[list], negative: list
    ) -> None:
        """Make the guider of one run.

        Args:
            model: MODEL.
            weights: of the difference of each positive from the one before it.
            positives: CONDITIONING of each branch; the last one has all modalities.
            negative: CONDITIONING.
        """
        super().__init__(model)
        self.weights = tuple(weights)
        self.names = (*(f"branch {i}" for i in range(len(weights) - 1)), "positive", "negative")
        self.inner_set_conds(dict(zip(self.names, [*positives, negative], strict=True)))
        self.set_cfg(max(weights))

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: Any = None, seed: int | None = None
    ) -> Tensor:
        """The guided denoised estimate, as ComfyUI's `sampling_function` computes it for two."""
        model_options = {} if model_options is None else model_options
        if len(self.weights) == 1:
            return super().predict_noise(x, timestep, model_options, seed)
        model, conds = self.inner_model, [self.conds[name] for name in self.names]
        run = {"input": x, "sigma": timestep, "model": model, "model_options": model_options}
        *predicted, uncond = _predict(conds, run)
        cond, cfg = join_branches(predicted, uncond, self.weights)
        both, estimates = conds[-2:], [cond, uncond]
        for change in model_options.get("sampler_pre_cfg_function", []):
            estimates = change(
                {**run, "conds": both, "conds_out": estimates, "cond_scale": cfg,
                 "timestep": timestep}
            )  # fmt: skip
        return comfy.samplers.cfg_function(
            model, *estimates, cfg, x, timestep,
            model_options=model_options, cond=both[0], uncond=both[1],
        )  # fmt: skip


def _predict(conds: list, run: Mapping[str, Any]) -> list[Tensor]:
    """The denoised estimates of all branches, in one batch."""
    options = run["model_options"]
    if "sampler_calc_cond_batch_function" in options:
        return options["sampler_calc_cond_batch_function"]({"conds": conds, **run})
    return comfy.samplers.calc_cond_batch(run["model"], conds, run["input"], run["sigma"], options)


def modality_guider(
    model: Any,
    conditioners: NativeConditioners,
    texts: tuple[list | None, list | None],
    features: tuple[Features | None, Features | None],
    weights: tuple[float, float, float],
    strengths: Strengths,
    cfg_rescale: float,
) -> tuple[ModalityGuider, str]:
    """All modalities -> GUIDER, and what the node shows.

    Args:
        model: MODEL.
        conditioners: of the same checkpoint.
        texts: CONDITIONING of the prompt and of the negative prompt, or None.
        features: of the video and of the audio prompt, or None.
        weights: of text, video and audio; -1 is the model's own cfg.
        strengths: of the three modalities.
        cfg_rescale: -1 is the model's own.
    """
    config, own = config_of(model), settings(model, cfg_rescale=cfg_rescale)
    used = GuidanceWeights(*(own.cfg if weight == -1 else weight for weight in weights))
    branches = guidance_branches(config, used, *features, strengths, has_text=texts[0] is not None)
    joined = [
        masked_conditioning(conditioners, *texts, inputs.video, inputs.audio, strengths)
        for _, inputs in branches
    ]
    guider = ModalityGuider(
        with_rescale(model, own.cfg_rescale),
        [weight for weight, _ in branches],
        [positive for positive, _ in joined],
        joined[-1][1],
    )
    names = used_modalities(*features, strengths, has_text=texts[0] is not None)
    return guider, _shown(used, names, len(branches))


def _shown(used: GuidanceWeights, names: list[str], count: int) -> str:
    """The scales that are used."""
    parts = [f"{name} {getattr(used, name):g}" for name in names]
    how = "ordinary guidance" if count == 1 else f"{count + 1} predictions a step"
    return f"{', '.join(parts)}: {how}"
