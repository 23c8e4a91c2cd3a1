"""Menu folder `AudioX/sampling`: ComfyUI's samplers with the model's own settings."""

from typing import Any

from comfy_api.latest import io

from ..audiox_core.config import SamplingConfig
from ..audiox_core.errors import plural
from ..audiox_core.limits import MAX_CFG, MAX_SEED, MAX_STEPS
from ..audiox_core.variants import advice
from . import bridge
from .bridge.schema import (
    OWN,
    SAMPLERS,
    SCHEDULERS,
    modality_inputs,
    schema,
    strength_input,
    with_text,
)

MODEL = "From AudioX Load Checkpoint or AudioX Load Model, optionally with LoRAs or patches."
STEPS = "Number of sampling steps; 0 is the model's own. More steps are slower, usually better."
DENOISE = "1 generates new audio; lower values vary the audio in the latent."


def _steps() -> io.Int.Input:
    return io.Int.Input("steps", default=0, min=0, max=MAX_STEPS, tooltip=STEPS)


def _denoise() -> io.Float.Input:
    return io.Float.Input("denoise", default=1.0, min=0.01, max=1.0, step=0.01, tooltip=DENOISE)


def _cfg_rescale() -> io.Float.Input:
    return io.Float.Input(
        "cfg_rescale",
        default=-1.0,
        min=-1.0,
        max=1.0,
        step=0.01,
        tooltip="Reduces harshness at a high cfg; -1 is the model's own. 0 turns it off; 0.7 is a"
        " common value.",
    )


def _guidance(modality: str, tooltip: str) -> io.Float.Input:
    return io.Float.Input(
        f"{modality}_guidance", default=-1.0, min=-1.0, max=MAX_CFG, step=0.1, tooltip=tooltip
    )


class AudioXScheduler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXScheduler",
            display_name="AudioX Scheduler",
            category="AudioX/sampling",
            description="The noise schedule of the model, for SamplerCustomAdvanced.",
            search_aliases=["sigmas", "noise schedule"],
            inputs=[
                io.Model.Input("model", tooltip=MODEL),
                _steps(),
                io.Float.Input(
                    "sigma_min",
                    default=0.0,
                    min=0.0,
                    max=100.0,
                    step=0.0001,
                    round=False,
                    tooltip="The lowest noise level before 0; 0 is the model's own.",
                ),
                io.Float.Input(
                    "sigma_max",
                    default=0.0,
                    min=0.0,
                    max=10_000.0,
                    step=0.01,
                    round=False,
                    tooltip="The highest noise level; 0 is the model's own.",
                ),
                _denoise(),
            ],
            outputs=[
                io.Sigmas.Output("sigmas", tooltip="Connect to sigmas of SamplerCustomAdvanced.")
            ],
        )

    @classmethod
    def execute(
        cls, model: Any, steps: int, sigma_min: float, sigma_max: float, denoise: float
    ) -> io.NodeOutput:
        used = bridge.sampling.settings(
            model, steps=steps, sigma_min=sigma_min, sigma_max=sigma_max
        )
        return with_text(
            f"{plural(used.steps, 'step')}, sigma {used.sigma_max:g} to {used.sigma_min:g}",
            bridge.sampling.sigmas_of(model, used, OWN, denoise),
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
            search_aliases=[
                "music",
                "sfx",
                "foley",
                "sound effects",
                "soundtrack",
                "generate audio",
                "text to audio",
                "video to audio",
                "ksampler audio",
            ],
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
                _steps(),
                io.Float.Input(
                    "cfg",
                    default=-1.0,
                    min=-1.0,
                    max=MAX_CFG,
                    step=0.1,
                    tooltip="How closely the output follows text, video and audio; -1 is the"
                    " model's own. 1 turns guidance off and is twice as fast.",
                ),
                _cfg_rescale(),
                io.Combo.Input(
                    "sampler_name",
                    options=SAMPLERS,
                    default=OWN,
                    tooltip=f"The solver. '{OWN}' is dpmpp_3m_sde for AudioX and the MAF models,"
                    " euler for Base and lcm for Turbo.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=SCHEDULERS,
                    default=OWN,
                    tooltip=f"The noise schedule. '{OWN}' is the one that the model was made for.",
                ),
                _denoise(),
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
        steps: int,
        cfg: float,
        cfg_rescale: float,
        sampler_name: str,
        scheduler: str,
        denoise: float,
    ) -> io.NodeOutput:
        used = bridge.sampling.settings(
            model, steps=steps, cfg=cfg, cfg_rescale=cfg_rescale, sampler=sampler_name
        )
        sigmas = bridge.sampling.sigmas_of(model, used, scheduler, denoise)
        schedule = _schedule(scheduler, used)
        count = len(sigmas) - 1
        steps_used = plural(count, "step")
        line = f"{used.sampler}, {schedule}, {steps_used}, cfg {used.cfg:g}"
        if used.cfg_rescale:
            line += f", cfg_rescale {used.cfg_rescale:g}"
        return with_text(
            f"{line}\n{advice(bridge.sampling.config_of(model), used)}".rstrip(),
            bridge.sampling.sample(
                model, positive, negative, latent_image, seed=seed, sampling=used, sigmas=sigmas
            ),
        )


class AudioXGuider(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXGuider",
            display_name="AudioX Guider",
            category="AudioX/sampling",
            description="Guidance with a scale of its own for text, video and audio, for"
            " SamplerCustomAdvanced. It joins the inputs itself, in place of AudioX Masked"
            " Conditioning. With equal scales it is the same as CFGGuider. An input that is not"
            " connected is masked, and its scale is not used. AudioX-Turbo, which runs without"
            " guidance, cannot use it.",
            search_aliases=["guidance", "cfg per modality", "dual cfg", "text against video"],
            inputs=[
                io.Model.Input("model", tooltip=MODEL),
                *modality_inputs(),
                _guidance(
                    "text",
                    "How closely the output follows the text; -1 is the model's own cfg. 0 removes"
                    " what the text adds to the unconditional or negative prediction.",
                ),
                _guidance(
                    "video",
                    "How closely the output follows what the video adds to the text; -1 is the"
                    " model's own cfg, 0 removes it.",
                ),
                _guidance(
                    "audio",
                    "How closely the output follows what the audio prompt adds to text and video;"
                    " -1 is the model's own cfg, 0 is the same as no audio prompt.",
                ),
                _cfg_rescale(),
                strength_input("text"),
                strength_input("video"),
                strength_input("audio"),
            ],
            outputs=[
                io.Guider.Output("guider", tooltip="Connect to guider of SamplerCustomAdvanced.")
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        conditioners: Any,
        text_guidance: float,
        video_guidance: float,
        audio_guidance: float,
        cfg_rescale: float,
        text_strength: float,
        video_strength: float,
        audio_strength: float,
        text: Any = None,
        negative_text: Any = None,
        video: Any = None,
        audio: Any = None,
    ) -> io.NodeOutput:
        guider, shown = bridge.guider.modality_guider(
            model,
            conditioners,
            (text, negative_text),
            (video, audio),
            (text_guidance, video_guidance, audio_guidance),
            bridge.encode.Strengths(text_strength, video_strength, audio_strength),
            cfg_rescale,
        )
        return with_text(shown, guider)


def _schedule(name: str, used: SamplingConfig) -> str:
    """What the node shows of the noise schedule."""
    if name != OWN:
        return name
    return f"the model's schedule (sigma {used.sigma_max:g} to {used.sigma_min:g})"
