"""Menu folder `AudioX/conditioning`: joins text, video and audio tokens."""

from typing import Any

from comfy_api.latest import io

from ..audiox_core.conditioners.inputs import MAX_END, MAX_FADE
from . import bridge
from .bridge.schema import (
    clip_input,
    conditioners_input,
    modality_inputs,
    schema,
    strength_input,
    with_text,
)


class AudioXPromptTimeline(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXPromptTimeline",
            display_name="AudioX Prompt Timeline",
            category="AudioX/conditioning",
            description="Encode prompts that change over time: one line for each, with the seconds"
            " in front. A line without seconds applies everywhere else.",
            search_aliases=["prompt schedule", "prompt travel", "keyframes", "timed prompts"],
            inputs=[
                conditioners_input(),
                io.String.Input(
                    "lines",
                    multiline=True,
                    default="0-4: rain on a tin roof\n4-8: thunder",
                    tooltip="'0-4: rain on a tin roof' is a prompt for the first four seconds. A"
                    " line without seconds applies everywhere else; without such a line, the"
                    " empty prompt does.",
                ),
                io.Float.Input(
                    "crossfade",
                    default=0.5,
                    min=0.0,
                    max=MAX_FADE,
                    step=0.05,
                    tooltip="Seconds in which a prompt passes into the next one.",
                ),
                clip_input(),
            ],
            outputs=[
                io.Conditioning.Output(
                    "text_tokens", tooltip="Connect to text of AudioX Masked Conditioning."
                )
            ],
        )

    @classmethod
    def execute(
        cls, conditioners: Any, lines: str, crossfade: float, clip: Any = None
    ) -> io.NodeOutput:
        texts, shown = bridge.encode.timeline_conditioning(conditioners, lines, crossfade, clip)
        return with_text(shown, texts)


class AudioXTimeRange(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXTimeRange",
            display_name="AudioX Time Range",
            category="AudioX/conditioning",
            description="Let a conditioning apply to some seconds only. Combine it with others in"
            " ConditioningCombine; one without a time range applies everywhere else.",
            search_aliases=["timed prompt", "prompt schedule", "conditioning set area"],
            inputs=[
                io.Conditioning.Input(
                    "conditioning",
                    tooltip="From AudioX Encode Text, or positive of AudioX Masked Conditioning.",
                ),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=MAX_END,
                    step=0.01,
                    tooltip="Second at which it begins.",
                ),
                io.Float.Input(
                    "end",
                    default=5.0,
                    min=0.01,
                    max=MAX_END,
                    step=0.01,
                    tooltip="Second at which it ends.",
                ),
                io.Float.Input(
                    "fade",
                    default=0.5,
                    min=0.0,
                    max=MAX_FADE,
                    step=0.05,
                    tooltip="Length of the crossfade at both borders, in seconds.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    "conditioning_out",
                    display_name="conditioning",
                    tooltip="Connect to ConditioningCombine.",
                )
            ],
        )

    @classmethod
    def execute(cls, conditioning: Any, start: float, end: float, fade: float) -> io.NodeOutput:
        return io.NodeOutput(bridge.prompt_masks.with_span(conditioning, start, end, fade))


class AudioXMaskedConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXMaskedConditioning",
            display_name="AudioX Masked Conditioning",
            category="AudioX/conditioning",
            description="Combine text, video and audio into the conditioning of the model. An input"
            " that is not connected is masked, as in training.",
            search_aliases=[
                "conditioning",
                "combine modalities",
                "prompt strength",
                "video to audio",
            ],
            inputs=[
                *modality_inputs(),
                strength_input("text"),
                strength_input("video"),
                strength_input("audio"),
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
        strengths = bridge.encode.Strengths(text_strength, video_strength, audio_strength)
        branches = bridge.encode.masked_conditioning(
            conditioners, text, negative_text, video, audio, strengths
        )
        return io.NodeOutput(*branches)
