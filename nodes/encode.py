"""Menu folder `AudioX/encode`: text, video, pictures and sound -> tokens of one modality."""

from typing import Any

from comfy_api.latest import io

from ..audiox_core.conditioners.text import TASK_PROMPTS
from .bridge.encode import audio_features, image_features, text_conditioning, video_features
from .bridge.schema import Conditioners, Features, schema, tell

CONDITIONERS = "From AudioX Load Checkpoint or AudioX Load Conditioners."
TO_MASKED = "To {} of AudioX Masked Conditioning."
TIME_MASK = "Seconds that the model shall not {verb}, such as 0-2, 5.5-8. Empty hides nothing."


class AudioXEncodeText(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXEncodeText",
            display_name="AudioX Encode Text",
            category="AudioX/encode",
            description="Turn a prompt into text tokens. The released models read 128 of them,"
            " about 100 words; the embedded one 32.",
            search_aliases=["audiox prompt"],
            inputs=[
                Conditioners.Input("conditioners", tooltip=CONDITIONERS),
                io.String.Input(
                    "text", multiline=True, default="", dynamic_prompts=True,
                    tooltip="What to hear, in English: 'waves on a beach, seagulls'.",
                ),
                io.Combo.Input(
                    "task", options=["none", *TASK_PROMPTS],
                    tooltip="The sentence that the model was trained with where a clip came without"
                    " a caption. It fills an empty prompt and changes nothing else.",
                ),
                io.Clip.Input(
                    "clip", optional=True,
                    tooltip="T5-base from ComfyUI's CLIPLoader, type stable_audio. Only needed for"
                    " checkpoints without a text encoder of their own.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    "text_tokens", tooltip="To text or negative of AudioX Masked Conditioning."
                )
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, conditioners: Any, text: str, task: str, clip: Any = None) -> io.NodeOutput:
        prompt = text if text.strip() else TASK_PROMPTS.get(task, "")
        return io.NodeOutput(text_conditioning(conditioners, prompt, clip))


class AudioXEncodeVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXEncodeVideo",
            display_name="AudioX Encode Video",
            category="AudioX/encode",
            description="Turn a video, or frames and their rate, into features. Frames are taken at"
            " their true times; a video in a file is never decoded whole.",
            inputs=[
                Conditioners.Input("conditioners", tooltip=CONDITIONERS),
                io.Video.Input(
                    "video", optional=True, tooltip="From Load Video, or Create Video."
                ),
                io.Image.Input(
                    "images", optional=True,
                    tooltip="Frames in place of a video, as a video model makes them; set fps.",
                ),
                io.Float.Input(
                    "fps", default=0.0, min=0.0, max=1000.0, step=0.001,
                    tooltip="Frames a second of the images. A video brings its own.",
                ),
                io.Float.Input(
                    "start", default=0.0, min=0.0, max=100_000.0, step=0.01,
                    tooltip="Seconds into the video.",
                ),
                io.Float.Input(
                    "length", default=0.0, min=0.0, max=600.0, step=0.01,
                    tooltip="Seconds to soundtrack; 0 goes to the end.",
                ),
                io.String.Input(
                    "time_mask", default="", tooltip=TIME_MASK.format(verb="see")
                ),
            ],
            outputs=[
                Features.Output("features", tooltip=TO_MASKED.format("video")),
                io.Float.Output("seconds", tooltip="To seconds of AudioX Empty Latent."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, conditioners: Any, fps: float, start: float, length: float, time_mask: str,
        video: Any = None, images: Any = None,
    ) -> io.NodeOutput:  # fmt: skip
        features, seconds = video_features(
            conditioners, video, images, fps, start, length, time_mask
        )
        tell(cls, f"{seconds:.2f} s, {len(features.tokens)} windows")
        return io.NodeOutput(features, seconds)


class AudioXEncodeImage(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXEncodeImage",
            display_name="AudioX Encode Image",
            category="AudioX/encode",
            description="Turn a still picture into features: a video in which nothing moves. It"
            " serves a sound of any length.",
            inputs=[
                Conditioners.Input("conditioners", tooltip=CONDITIONERS),
                io.Image.Input("image", tooltip="The first picture of the batch counts."),
            ],
            outputs=[
                Features.Output("features", tooltip="To video of AudioX Masked Conditioning.")
            ],
        )

    @classmethod
    def execute(cls, conditioners: Any, image: Any) -> io.NodeOutput:
        return io.NodeOutput(image_features(conditioners, image))


class AudioXEncodeAudio(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXEncodeAudio",
            display_name="AudioX Encode Audio",
            category="AudioX/encode",
            description="Turn a sound or music prompt into features. The model was trained to go on"
            " from the ten seconds before the target.",
            inputs=[
                Conditioners.Input("conditioners", tooltip=CONDITIONERS),
                io.Vae.Input("vae", tooltip="From AudioX Load Checkpoint or AudioX Load VAE."),
                io.Audio.Input("audio", tooltip="The prompt, of any rate; of a batch the"
                    " first one, of more than two channels the first two count."),
                io.Float.Input(
                    "start", default=0.0, min=-100_000.0, max=100_000.0, step=0.01,
                    tooltip="Seconds into the sound; below 0 it counts from the end: -10 takes the"
                    " last ten seconds.",
                ),
                io.Float.Input(
                    "length", default=10.0, min=0.1, max=600.0, step=0.01,
                    tooltip="Seconds of the prompt. Ten serve a sound of any length; more are read"
                    " window by window, beside what is made.",
                ),
                io.String.Input(
                    "time_mask", default="", tooltip=TIME_MASK.format(verb="hear")
                ),
            ],
            outputs=[Features.Output("features", tooltip=TO_MASKED.format("audio"))],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, conditioners: Any, vae: Any, audio: Any, start: float, length: float, time_mask: str
    ) -> io.NodeOutput:
        return io.NodeOutput(audio_features(conditioners, vae, audio, start, length, time_mask))
