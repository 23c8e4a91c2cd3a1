"""Menu folder `AudioX/conditioning`: the modalities joined, absent ones as the model learned."""

from typing import Any

from comfy_api.latest import io

from .bridge.encode import masked_conditioning
from .bridge.schema import Conditioners, Features, schema

STRENGTH = "0 is as if the {what} were not there, 1 is the {what} in full; linear between them."


def _strength(what: str) -> io.Float.Input:
    return io.Float.Input(
        f"{what}_strength", default=1.0, min=0.0, max=1.0, step=0.01,
        tooltip=STRENGTH.format(what=what),
    )  # fmt: skip


class AudioXMaskedConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXMaskedConditioning",
            display_name="AudioX Masked Conditioning",
            category="AudioX/conditioning",
            description="Join text, video and audio into what guides the model. A socket that is"
            " left empty is masked as in the model's training.",
            inputs=[
                Conditioners.Input(
                    "conditioners",
                    tooltip="From AudioX Load Checkpoint or AudioX Load Conditioners.",
                ),
                io.Conditioning.Input(
                    "text", optional=True,
                    tooltip="What to hear: AudioX Encode Text, or CLIPTextEncode with T5-base.",
                ),
                io.Conditioning.Input(
                    "negative_text", optional=True,
                    tooltip="What not to hear. Without it guidance pulls away from nothing at all.",
                ),
                Features.Input(
                    "video", optional=True,
                    tooltip="From AudioX Encode Video or AudioX Encode Image.",
                ),
                Features.Input("audio", optional=True, tooltip="From AudioX Encode Audio."),
                _strength("text"),
                _strength("video"),
                _strength("audio"),
            ],
            outputs=[
                io.Conditioning.Output("positive", tooltip="To positive of a sampler."),
                io.Conditioning.Output("negative", tooltip="To negative of a sampler."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, conditioners: Any, text_strength: float, video_strength: float, audio_strength: float,
        text: Any = None, negative_text: Any = None, video: Any = None, audio: Any = None,
    ) -> io.NodeOutput:  # fmt: skip
        strengths = {
            "text_strength": text_strength,
            "video_strength": video_strength,
            "audio_strength": audio_strength,
        }
        branches = masked_conditioning(conditioners, text, negative_text, video, audio, strengths)
        return io.NodeOutput(*branches)
