"""Menu folder `AudioX/conditioning`: joins text, video and audio tokens."""

from typing import Any

from comfy_api.latest import io

from ..audiox_core.pipeline.encode import Strengths
from .bridge.encode import masked_conditioning
from .bridge.schema import Conditioners, Features, schema

STRENGTH = "Influence of the {what}: 0 ignores it, 1 uses it fully; linear in between."


def _strength(what: str) -> io.Float.Input:
    return io.Float.Input(
        f"{what}_strength",
        default=1.0,
        min=0.0,
        max=1.0,
        step=0.01,
        tooltip=STRENGTH.format(what=what),
    )


class AudioXMaskedConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXMaskedConditioning",
            display_name="AudioX Masked Conditioning",
            category="AudioX/conditioning",
            description="Combine text, video and audio into the conditioning of the model. An input"
            " that is not connected is masked, as in training.",
            search_aliases=["audiox conditioning", "combine modalities"],
            inputs=[
                Conditioners.Input(
                    "conditioners",
                    tooltip="From AudioX Load Checkpoint or AudioX Load Conditioners.",
                ),
                io.Conditioning.Input(
                    "text",
                    optional=True,
                    tooltip="The prompt: from AudioX Encode Text, or CLIPTextEncode with T5-base.",
                ),
                io.Conditioning.Input(
                    "negative_text",
                    optional=True,
                    tooltip="Sounds to avoid. If it is not connected, guidance uses the"
                    " unconditional input that the model was trained with.",
                ),
                Features.Input(
                    "video",
                    optional=True,
                    tooltip="From AudioX Encode Video or AudioX Encode Image.",
                ),
                Features.Input("audio", optional=True, tooltip="From AudioX Encode Audio."),
                _strength("text"),
                _strength("video"),
                _strength("audio"),
            ],
            outputs=[
                io.Conditioning.Output("positive", tooltip="Connect to positive of a sampler."),
                io.Conditioning.Output("negative", tooltip="Connect to negative of a sampler."),
            ],
        )

    @classmethod
    def execute(
        cls,
        conditioners: Any,
        text_strength: float,
        video_strength: float,
        audio_strength: float,
        text: Any = None,
        negative_text: Any = None,
        video: Any = None,
        audio: Any = None,
    ) -> io.NodeOutput:
        strengths = Strengths(text_strength, video_strength, audio_strength)
        branches = masked_conditioning(conditioners, text, negative_text, video, audio, strengths)
        return io.NodeOutput(*branches)
