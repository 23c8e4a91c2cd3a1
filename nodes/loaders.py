"""Menu folder `AudioX/loaders`: weight files -> MODEL, AUDIOX_CONDITIONERS, VAE; examples."""

from comfy_api.latest import io

from ..audiox_core.hub.models import Part
from ..audiox_core.limits import STORED_DTYPE_NAMES
from ..audiox_core.media.examples import CLIPS
from ..audiox_core.variants import VARIANTS
from . import bridge
from .bridge.files import AUTO, check_files, file_names
from .bridge.schema import Conditioners, schema, with_text

LICENCE = "The released weights are licensed for non-commercial use (CC-BY-NC-4.0)."
FILE = (
    "A model file in models/audiox, or a file with 'audiox' in its name in checkpoints, "
    "diffusion_models or vae. 'embedded' is a small demo model that comes with this pack. It needs "
    "no download, but it knows only 26 kinds of recorded and rendered sounds (dog, rain, thunder "
    "and others), simple moving pictures and short tunes, not real video. Files of ModelSave, "
    f"VAESave and Save Checkpoint can be loaded, too; give them names with 'audiox'. {LICENCE}"
)
OTHERS: dict[Part, str] = {
    "vae_file": "The VAE. 'auto' takes the one in the model file, or the VAE file beside it.",
    "synchformer_file": "The encoder of motion for video, in the MAF models, Base and Turbo. 'auto'"
    " takes the one in the model file, or the one in models/audiox.",
    "text_encoder_file": "T5-base. 'auto' takes the one in the model file, or the one in"
    " models/text_encoders.",
}
VARIANT = (
    "Which model the file contains. 'auto' reads it from the file, the config.json beside it or "
    "the folder name. Select it yourself if the loader cannot tell AudioX-MAF-MMDiT, Base and "
    "Turbo apart: their tensors have the same shapes."
)
DTYPE = (
    "Data type of the transformer's weights. 'default' keeps the layers of a quantized file as "
    "they are (float8, and in newer ComfyUIs also int8, nvfp4 and mxfp8) and lets ComfyUI choose "
    "for any other file. float16 and bfloat16 take half the memory of float32. float8_scaled "
    "takes half of that, with some loss of precision; float8_e4m3fn does the same without scales, "
    "with more loss."
)


def _weight_dtype() -> io.Combo.Input:
    return io.Combo.Input("weight_dtype", options=["default", *STORED_DTYPE_NAMES], tooltip=DTYPE)


def _variant() -> io.Combo.Input:
    return io.Combo.Input(
        "variant", options=[AUTO, *VARIANTS], default=AUTO, optional=True, tooltip=VARIANT
    )


def _file(*parts: Part) -> io.Combo.Input:
    return io.Combo.Input("file", options=file_names(*parts), tooltip=FILE)


def _other(part: Part) -> io.Combo.Input:
    options = file_names(part)
    return io.Combo.Input(part, options=options, default=AUTO, optional=True, tooltip=OTHERS[part])


class AudioXLoadCheckpoint(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXLoadCheckpoint",
            display_name="AudioX Load Checkpoint",
            category="AudioX/loaders",
            description="Load the model, its conditioners and its VAE from one AudioX file. T5-base"
            " is read from models/text_encoders if it is there; otherwise connect CLIPLoader to"
            f" AudioX Encode Text. {LICENCE}",
            search_aliases=[
                "text to audio",
                "video to audio",
                "music",
                "sound effects",
                "foley",
                "audio model",
            ],
            inputs=[
                _file("file"),
                _weight_dtype(),
                _variant(),
                *map(_other, OTHERS),
            ],
            outputs=[
                io.Model.Output(
                    "model", tooltip="Connect to AudioX Sampler, KSampler or a LoRA loader."
                ),
                Conditioners.Output(
                    "conditioners",
                    tooltip="Connect to the encode nodes and AudioX Masked Conditioning.",
                ),
                io.Vae.Output("vae", tooltip="Connect to AudioX Decode or VAE Decode Audio."),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        file: str | None = None,
        vae_file: str | None = None,
        synchformer_file: str | None = None,
        text_encoder_file: str | None = None,
    ) -> bool | str:
        return check_files(
            file=file,
            vae_file=vae_file,
            synchformer_file=synchformer_file,
            text_encoder_file=text_encoder_file,
        )

    @classmethod
    def execute(
        cls,
        file: str,
        weight_dtype: str,
        variant: str = AUTO,
        vae_file: str = AUTO,
        synchformer_file: str = AUTO,
        text_encoder_file: str = AUTO,
    ) -> io.NodeOutput:
        checkpoint = bridge.checkpoint.open_model(
            file,
            variant,
            vae=vae_file,
            synchformer=synchformer_file,
            text_encoder=text_encoder_file,
        )
        return with_text(checkpoint.variant, *bridge.checkpoint.load_all(checkpoint, weight_dtype))


class AudioXLoadModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXLoadModel",
            display_name="AudioX Load Model",
            category="AudioX/loaders",
            description="Load only the diffusion transformer from an AudioX file. The other parts"
            " of the file are not read.",
            search_aliases=["audio model", "diffusion model", "unet"],
            inputs=[
                _file("file"),
                _weight_dtype(),
                _variant(),
            ],
            outputs=[
                io.Model.Output(
                    "model", tooltip="Connect to AudioX Sampler, KSampler or a LoRA loader."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        return check_files(file=file)

    @classmethod
    def execute(cls, file: str, weight_dtype: str, variant: str = AUTO) -> io.NodeOutput:
        checkpoint = bridge.checkpoint.open_model(file, variant, first="diffusion_models")
        return with_text(checkpoint.variant, bridge.model.load_model(checkpoint, weight_dtype))


class AudioXLoadConditioners(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXLoadConditioners",
            display_name="AudioX Load Conditioners",
            category="AudioX/loaders",
            description="Load only the encoders for text, video, images and audio from an AudioX"
            " file, and T5-base from models/text_encoders if it is there.",
            search_aliases=["text encoder", "video encoder", "t5", "synchformer"],
            inputs=[
                _file("file"),
                _variant(),
                _other("synchformer_file"),
                _other("text_encoder_file"),
            ],
            outputs=[
                Conditioners.Output(
                    "conditioners",
                    tooltip="Connect to the encode nodes and AudioX Masked Conditioning.",
                )
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        file: str | None = None,
        synchformer_file: str | None = None,
        text_encoder_file: str | None = None,
    ) -> bool | str:
        return check_files(
            file=file, synchformer_file=synchformer_file, text_encoder_file=text_encoder_file
        )

    @classmethod
    def execute(
        cls,
        file: str,
        variant: str = AUTO,
        synchformer_file: str = AUTO,
        text_encoder_file: str = AUTO,
    ) -> io.NodeOutput:
        checkpoint = bridge.checkpoint.open_model(
            file, variant, synchformer=synchformer_file, text_encoder=text_encoder_file
        )
        return io.NodeOutput(bridge.conditioners.load_conditioners(checkpoint))


class AudioXLoadVAE(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXLoadVAE",
            display_name="AudioX Load VAE",
            category="AudioX/loaders",
            description="Load only the audio VAE, from an AudioX checkpoint or a separate VAE"
            " file.",
            search_aliases=["audio vae", "decoder"],
            inputs=[_file("file", "vae_file")],
            outputs=[io.Vae.Output("vae", tooltip="Connect to AudioX Decode or VAE Decode Audio.")],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        return check_files(file=file)

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        return io.NodeOutput(bridge.vae.load_vae(bridge.checkpoint.open_vae(file)))


class AudioXExample(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXExample",
            display_name="AudioX Example",
            category="AudioX/loaders",
            description="A short clip that comes with the pack, to try a workflow at once. For your"
            " own clip, replace it with Load Video, Load Image or Load Audio: connect the output of"
            " that node in its place, and delete this one.",
            search_aliases=["example", "demo", "sample clip", "test video", "test audio"],
            inputs=[
                io.Combo.Input(
                    "which",
                    options=[*CLIPS],
                    tooltip="The clip: a yard with a dog, a door and thunder, a bouncing ball, a"
                    " car or rain, each of 10 s, or a tune of 14 s. All are rendered, and the"
                    " embedded model knows such scenes.",
                )
            ],
            outputs=[
                io.Video.Output("video", tooltip="The clip with its sound, as from Load Video."),
                io.Image.Output("image", tooltip="One frame of the clip, as from Load Image."),
                io.Audio.Output("audio", tooltip="The sound of the clip, as from Load Audio."),
            ],
        )

    @classmethod
    def execute(cls, which: str) -> io.NodeOutput:
        return io.NodeOutput(*bridge.example.example(which))
