"""Menu folder `AudioX/sampling`: ComfyUI's samplers with the model's own settings."""

from typing import Any

from comfy_api.latest import io

from ..audiox_core.pipeline.sampling import MAX_CFG, MAX_SEED, MAX_STEPS
from ..audiox_core.variants import advice
from .bridge.sampling import (
    CUSTOM,
    OURS,
    PRESETS,
    SAMPLERS,
    SCHEDULERS,
    config_of,
    sample,
    settings,
    sigmas_of,
)
from .bridge.schema import schema, told

MODEL = "From AudioX Load Checkpoint or AudioX Load Model, optionally with LoRAs or patches."
PRESET = (
    "'model default' uses the settings that the model was made for, 'quality' twice its steps, "
    f"'fast' a fifth of them. Only '{CUSTOM}' uses the settings below, except denoise."
)
STEPS = "Number of sampling steps. More steps are slower and usually better."
DENOISE = (
    "1 generates new audio; lower values vary the audio in the latent. Used with every preset."
)


class AudioXScheduler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXScheduler",
            display_name="AudioX Scheduler",
            category="AudioX/sampling",
            description="The noise schedule of the model, for SamplerCustomAdvanced.",
            inputs=[
                io.Model.Input("model", tooltip=MODEL),
                io.Combo.Input("preset", options=PRESETS, tooltip=PRESET),
                io.Int.Input("steps", default=100, min=1, max=MAX_STEPS, tooltip=STEPS),
                io.Float.Input(
                    "sigma_min",
                    default=0.3,
                    min=0.0001,
                    max=100.0,
                    step=0.0001,
                    round=False,
                    tooltip="The lowest noise level before 0.",
                ),
                io.Float.Input(
                    "sigma_max",
                    default=500.0,
                    min=0.01,
                    max=10_000.0,
                    step=0.01,
                    round=False,
                    tooltip="The highest noise level.",
                ),
                io.Float.Input(
                    "denoise", default=1.0, min=0.01, max=1.0, step=0.01, tooltip=DENOISE
                ),
            ],
            outputs=[
                io.Sigmas.Output("sigmas", tooltip="Connect to sigmas of SamplerCustomAdvanced.")
            ],
        )

    @classmethod
    def execute(
        cls, model: Any, preset: str, steps: int, sigma_min: float, sigma_max: float, denoise: float
    ) -> io.NodeOutput:
        used = settings(model, preset, steps=steps, sigma_min=sigma_min, sigma_max=sigma_max)
        return told(
            f"{used.steps} steps, sigma {used.sigma_max:g} to {used.sigma_min:g}",
            sigmas_of(model, used, OURS, denoise),
        )


class AudioXSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXSampler",
            display_name="AudioX Sampler",
            category="AudioX/sampling",
            description="Generate audio with the settings that the model was made for. KSampler and"
            " SamplerCustomAdvanced work with AudioX models, too.",
            search_aliases=["ksampler audio"],
            inputs=[
                io.Model.Input("model", tooltip=MODEL),
                io.Conditioning.Input("positive", tooltip="From AudioX Masked Conditioning."),
                io.Conditioning.Input("negative", tooltip="From AudioX Masked Conditioning."),
                io.Latent.Input(
                    "latent_image",
                    tooltip="From AudioX Empty Latent, AudioX Inpaint Latent or VAE Encode Audio.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=MAX_SEED,
                    control_after_generate=True,
                    tooltip="The same seed and settings give the same audio.",
                ),
                io.Combo.Input("preset", options=PRESETS, tooltip=PRESET),
                io.Int.Input("steps", default=100, min=1, max=MAX_STEPS, tooltip=STEPS),
                io.Float.Input(
                    "cfg",
                    default=7.0,
                    min=0.0,
                    max=MAX_CFG,
                    step=0.1,
                    tooltip="How closely the output follows text, video and audio. 1 turns guidance"
                    " off and is twice as fast.",
                ),
                io.Float.Input(
                    "cfg_rescale",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Reduces harshness at a high cfg. 0 turns it off; 0.7 is a common"
                    " value.",
                ),
                io.Combo.Input(
                    "sampler_name",
                    options=SAMPLERS,
                    default="dpmpp_3m_sde",
                    tooltip="The solver. AudioX and the MAF models use dpmpp_3m_sde, Base uses"
                    " euler and Turbo lcm.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=SCHEDULERS,
                    default=OURS,
                    tooltip=f"The noise schedule. '{OURS}' is the model's own.",
                ),
                io.Float.Input(
                    "denoise", default=1.0, min=0.01, max=1.0, step=0.01, tooltip=DENOISE
                ),
            ],
            outputs=[
                io.Latent.Output("latent", tooltip="Connect to AudioX Decode or VAE Decode Audio.")
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        positive: Any,
        negative: Any,
        latent_image: Any,
        seed: int,
        preset: str,
        steps: int,
        cfg: float,
        cfg_rescale: float,
        sampler_name: str,
        scheduler: str,
        denoise: float,
    ) -> io.NodeOutput:
        used = settings(
            model, preset, steps=steps, cfg=cfg, cfg_rescale=cfg_rescale, sampler=sampler_name
        )
        name = scheduler if preset == CUSTOM else OURS
        sigmas = sigmas_of(model, used, name, denoise)
        line = f"{used.sampler}, {name}, {len(sigmas) - 1} steps, cfg {used.cfg:g}"
        return told(
            f"{line}\n{advice(config_of(model), used)}".rstrip(),
            sample(
                model, positive, negative, latent_image, seed=seed, sampling=used, sigmas=sigmas
            ),
        )
