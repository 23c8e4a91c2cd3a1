"""Menu folder `AudioX/audio`: listen to sounds, see them, and choose one."""

from typing import Any

from comfy_api.latest import io

from ..audiox_core.limits import MAX_START, MAX_TAKES
from . import bridge
from .bridge.schema import schema


def _picture() -> list[Any]:
    """The sockets of a video whose changes are compared with the sound."""
    return [
        io.Video.Input(
            "video",
            optional=True,
            tooltip="Shows frames of the video, its cuts and its motion beside the sound.",
        ),
        io.Float.Input(
            "start",
            optional=True,
            default=0.0,
            min=0.0,
            max=float(MAX_START),
            step=0.01,
            tooltip="Second of the video at which the audio begins, as in AudioX Encode Video.",
        ),
    ]


class AudioXTakes(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXTakes",
            display_name="AudioX Takes",
            category="AudioX/audio",
            description="Listen to all sounds of a batch and choose one. Choosing another does not"
            " sample again, as long as the seed is fixed.",
            search_aliases=[
                "variations",
                "choose take",
                "play audio",
                "audio batch",
                "select audio",
                "compare",
            ],
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Audio.Input(
                    "audio",
                    tooltip="From AudioX Decode, with batch_size of AudioX Empty Latent above 1.",
                ),
                io.Int.Input(
                    "choose",
                    default=1,
                    min=1,
                    max=MAX_TAKES,
                    tooltip="Number of the take to use, from 1.",
                ),
                *_picture(),
            ],
            outputs=[
                io.Audio.Output("audio_out", display_name="audio", tooltip="The chosen take."),
                io.Int.Output(
                    "index",
                    tooltip="Its place in the batch, from 0. Connect to batch_index of Latent From"
                    " Batch to refine this take alone.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, audio: Any, choose: int, video: Any = None, start: float = 0.0
    ) -> io.NodeOutput:
        chosen, index, shown = bridge.preview.takes(
            audio, choose, video, start, str(cls.hidden.unique_id)
        )
        return io.NodeOutput(chosen, index, ui=shown)


class AudioXPreview(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXPreview",
            display_name="AudioX Preview",
            category="AudioX/audio",
            description="Listen to a sound and see its waveform and spectrogram; with a video, how"
            " far each cut and motion is from the nearest sound.",
            search_aliases=[
                "spectrogram",
                "waveform",
                "play audio",
                "preview audio",
                "save audio",
                "loudness",
                "sync",
            ],
            is_output_node=True,
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            inputs=[
                io.Audio.Input(
                    "audio", tooltip="Any audio. Only the first item of a batch is used."
                ),
                *_picture(),
                io.String.Input(
                    "save_as",
                    optional=True,
                    default="",
                    tooltip="Beginning of a file name in the output folder, for example"
                    " audio/AudioX: the sound is saved there as FLAC. Empty: it is only played.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "image", tooltip="The picture of the sound. Connect to Save Image to keep it."
                )
            ],
        )

    @classmethod
    def execute(
        cls, audio: Any, video: Any = None, start: float = 0.0, save_as: str = ""
    ) -> io.NodeOutput:
        image, shown = bridge.preview.preview(audio, video, start, save_as, cls)
        return io.NodeOutput(image, ui=shown)
