"""Menu folder `AudioX/loaders`: files -> model, conditioners, VAE."""

from comfy_api.latest import io

from ..audiox_core.checkpoint import open_vae
from ..audiox_core.variants import VARIANTS
from .bridge.conditioners import load_conditioners
from .bridge.files import model_names, model_path, open_model
from .bridge.model import WEIGHT_DTYPES, load_model
from .bridge.schema import Conditioners, schema, tell
from .bridge.vae import load_vae

LICENCE = "The released weights are for non-commercial use (CC-BY-NC-4.0)."
FILE = (
    "An AudioX file in models/audiox (or one with audiox in its name in checkpoints, "
    "diffusion_models or vae). 'embedded' is the small model that this pack carries: it needs no "
    f"download and knows twelve sounds of a toy world, nothing of real pictures. {LICENCE}"
)
VARIANT = (
    "Leave it at auto: a converted file, a release's config.json or the folder's name tells. "
    "AudioX-MAF-MMDiT, Base and Turbo have tensors of the same shapes: where nothing else tells, "
    "say which it is."
)
AUTO = "auto"
DTYPE = (
    "How the transformer's weights are kept: default lets ComfyUI choose for your GPU; float16 and "
    "bfloat16 halve the memory, float8 halves it again and costs precision."
)


def _variant() -> io.Combo.Input:
    return io.Combo.Input(
        "variant", options=[AUTO, *VARIANTS], default=AUTO, optional=True, tooltip=VARIANT
    )


def _chosen(variant: str) -> str | None:
    return None if variant == AUTO else variant


class AudioXLoadCheckpoint(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXLoadCheckpoint",
            display_name="AudioX Load Checkpoint",
            category="AudioX/loaders",
            description="Load the model, its conditioners and its VAE from one AudioX file. T5-base"
            " is taken from models/text_encoders where it is there; else connect ComfyUI's own"
            f" CLIPLoader to AudioX Encode Text. {LICENCE}",
            search_aliases=["audiox", "sound", "foley", "text to audio", "video to audio"],
            inputs=[
                io.Combo.Input("file", options=model_names(), tooltip=FILE),
                io.Combo.Input("weight_dtype", options=[*WEIGHT_DTYPES], tooltip=DTYPE),
                _variant(),
            ],
            outputs=[
                io.Model.Output("model", tooltip="To AudioX Sampler, KSampler or LoRA loaders."),
                Conditioners.Output(
                    "conditioners", tooltip="To the encode nodes and AudioX Masked Conditioning."
                ),
                io.Vae.Output("vae", tooltip="To AudioX Decode, or VAE Decode Audio."),
            ],
        )

    @classmethod
    def execute(cls, file: str, weight_dtype: str, variant: str = AUTO) -> io.NodeOutput:
        checkpoint = open_model(file, _chosen(variant))
        tell(cls, checkpoint.variant)
        return io.NodeOutput(
            load_model(checkpoint, weight_dtype),
            load_conditioners(checkpoint),
            load_vae(checkpoint.vae),
        )


class AudioXLoadModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXLoadModel",
            display_name="AudioX Load Model",
            category="AudioX/loaders",
            description="Load the diffusion transformer alone from an AudioX file; nothing else of"
            " the file is read.",
            inputs=[
                io.Combo.Input("file", options=model_names(), tooltip=FILE),
                io.Combo.Input("weight_dtype", options=[*WEIGHT_DTYPES], tooltip=DTYPE),
                _variant(),
            ],
            outputs=[
                io.Model.Output("model", tooltip="To AudioX Sampler, KSampler or LoRA loaders.")
            ],
        )

    @classmethod
    def execute(cls, file: str, weight_dtype: str, variant: str = AUTO) -> io.NodeOutput:
        checkpoint = open_model(file, _chosen(variant))
        tell(cls, checkpoint.variant)
        return io.NodeOutput(load_model(checkpoint, weight_dtype))


class AudioXLoadConditioners(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXLoadConditioners",
            display_name="AudioX Load Conditioners",
            category="AudioX/loaders",
            description="Load what turns text, video, pictures and sound into condition tokens from"
            " an AudioX file, and T5-base from models/text_encoders where it is there.",
            inputs=[io.Combo.Input("file", options=model_names(), tooltip=FILE), _variant()],
            outputs=[
                Conditioners.Output(
                    "conditioners", tooltip="To the encode nodes and AudioX Masked Conditioning."
                )
            ],
        )

    @classmethod
    def execute(cls, file: str, variant: str = AUTO) -> io.NodeOutput:
        return io.NodeOutput(load_conditioners(open_model(file, _chosen(variant))))


class AudioXLoadVAE(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXLoadVAE",
            display_name="AudioX Load VAE",
            category="AudioX/loaders",
            description="Load the audio VAE alone: of an AudioX checkpoint, or a VAE.ckpt of the"
            " family.",
            inputs=[io.Combo.Input("file", options=model_names(), tooltip=FILE)],
            outputs=[io.Vae.Output("vae", tooltip="To AudioX Decode, or VAE Decode Audio.")],
        )

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        return io.NodeOutput(load_vae(open_vae(model_path(file))))
