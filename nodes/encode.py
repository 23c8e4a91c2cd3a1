"""Menu folder `AudioX/encode`: text, video, images and audio -> tokens of one modality."""

from typing import Any

from comfy_api.latest import io

from ..audiox_core.conditioners.inputs import TASK_PROMPTS
from ..audiox_core.limits import MAX_SECONDS, MAX_START, MIN_SECONDS
from . import bridge
from .bridge.schema import Features, clip_input, conditioners_input, schema, with_text

TO_MASKED = "Connect to {} of AudioX Masked Conditioning."
TIME_MASK = "Time ranges to hide from the model, in seconds: '0-2, 5.5-8'. Empty hides nothing."


class AudioXEncodeText(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXEncodeText",
            display_name="AudioX Encode Text",
            category="AudioX/encode",
            description="Encode a text prompt. The released models read up to 128 tokens, about 100"
            " words; the embedded model reads 32.",
            search_aliases=[
                "text to audio",
                "prompt",
                "text to music",
                "sound effects",
                "sfx",
                "music",
            ],
            inputs=[
                conditioners_input(),
                io.String.Input(
                    "text",
                    multiline=True,
                    default="",
                    dynamic_prompts=True,
                    tooltip="Description of the sound, in English: 'waves on a beach, seagulls'.",
                ),
                io.Combo.Input(
                    "task",
                    options=["none", *TASK_PROMPTS],
                    tooltip="Used only if the prompt is empty: the generic sentence that the model"
                    " was trained with for clips without a caption.",
                ),
                clip_input(),
            ],
            outputs=[
                io.Conditioning.Output(
                    "text_tokens",
                    tooltip="Connect to text or negative_text of AudioX Masked Conditioning.",
                )
            ],
        )

    @classmethod
    def execute(cls, conditioners: Any, text: str, task: str, clip: Any = None) -> io.NodeOutput:
        prompt = text if text.strip() else TASK_PROMPTS.get(task, "")
        conditioning = bridge.encode.text_conditioning(conditioners, prompt, clip)
        return with_text(bridge.encode.reading_of(conditioners, prompt, clip), conditioning)


class AudioXEncodeVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXEncodeVideo",
            display_name="AudioX Encode Video",
            category="AudioX/encode",
            description="Encode a video, or an image batch with its frame rate. Frames are read at"
            " their presentation times, so any frame rate stays in sync.",
            search_aliases=[
                "video to audio",
                "foley",
                "sync sound",
                "dub",
                "soundtrack",
                "synchformer",
            ],
            inputs=[
                conditioners_input(),
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="From Load Video or Create Video. Connect either video or images.",
                ),
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="Frames instead of a video, for example from a video model. Set fps,"
                    " too.",
                ),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=1000.0,
                    step=0.001,
                    tooltip="Frame rate of the images; required for images. A video has its own.",
                ),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=float(MAX_START),
                    step=0.01,
                    tooltip="Where to start in the video, in seconds.",
                ),
                io.Float.Input(
                    "length",
                    default=0.0,
                    min=0.0,
                    max=float(MAX_SECONDS),
                    step=0.01,
                    tooltip="Length in seconds; 0 means up to the end of the video.",
                ),
                io.String.Input("time_mask", default="", tooltip=TIME_MASK),
            ],
            outputs=[
                Features.Output("features", tooltip=TO_MASKED.format("video")),
                io.Float.Output("seconds", tooltip="Connect to seconds of AudioX Empty Latent."),
            ],
        )

    @classmethod
    def execute(
        cls,
        conditioners: Any,
        fps: float,
        start: float,
        length: float,
        time_mask: str,
        video: Any = None,
        images: Any = None,
    ) -> io.NodeOutput:
        features = bridge.encode.video_features(
            conditioners, video, images, fps, start, length, time_mask
        )
        return with_text(
            f"{features.seconds:.2f} s, {features.windows} window{'s' * (features.windows > 1)}",
            features,
            features.seconds,
        )


class AudioXEncodeImage(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXEncodeImage",
            display_name="AudioX Encode Image",
            category="AudioX/encode",
            description="Encode a still image, which the model treats as a video without motion."
            " It can be used for audio of any length.",
            search_aliases=["image to audio", "picture to sound"],
            inputs=[
                conditioners_input(),
                io.Image.Input("image", tooltip="Only the first image of a batch is used."),
            ],
            outputs=[Features.Output("features", tooltip=TO_MASKED.format("video"))],
        )

    @classmethod
    def execute(cls, conditioners: Any, image: Any) -> io.NodeOutput:
        return io.NodeOutput(bridge.encode.image_features(conditioners, image))


class AudioXEncodeAudio(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXEncodeAudio",
            display_name="AudioX Encode Audio",
            category="AudioX/encode",
            description="Encode an audio or music prompt. The model was trained to continue from"
            " the ten seconds before its output.",
            search_aliases=[
                "audio to audio",
                "music continuation",
                "audio prompt",
                "reference audio",
            ],
            inputs=[
                conditioners_input(),
                io.Vae.Input("vae", tooltip="From AudioX Load Checkpoint or AudioX Load VAE."),
                io.Audio.Input(
                    "audio",
                    tooltip="The audio prompt, at any sample rate. Only the first item of a batch"
                    " is used; more than two channels are mixed to stereo.",
                ),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=-100_000.0,
                    max=float(MAX_START),
                    step=0.01,
                    tooltip="Where to start in the audio, in seconds. Negative values count from"
                    " the end: -10 takes the last ten seconds.",
                ),
                io.Float.Input(
                    "length",
                    default=10.0,
                    min=MIN_SECONDS,
                    max=float(MAX_SECONDS),
                    step=0.01,
                    tooltip="Length of the prompt in seconds. Up to ten seconds work with any"
                    " output length; a longer prompt must be as long as the output.",
                ),
                io.String.Input("time_mask", default="", tooltip=TIME_MASK),
            ],
            outputs=[Features.Output("features", tooltip=TO_MASKED.format("audio"))],
        )

    @classmethod
    def execute(
        cls, conditioners: Any, vae: Any, audio: Any, start: float, length: float, time_mask: str
    ) -> io.NodeOutput:
        features = bridge.encode.audio_features(conditioners, vae, audio, start, length, time_mask)
        return with_text(bridge.media.first_of_batch(audio), features)
