"""Menu folder `AudioX/latent`: what a sampler begins from."""

from typing import Any

from comfy_api.latest import io

from .bridge.latent import empty_latent, inpaint_latent
from .bridge.schema import schema

TO_SAMPLER = "To latent_image of a sampler."


class AudioXEmptyLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXEmptyLatent",
            display_name="AudioX Empty Latent",
            category="AudioX/latent",
            description="A silent start of any length. The model's window is 10.96 s: shorter"
            " sounds are cut by AudioX Decode, longer ones are made of several windows at once.",
            inputs=[
                io.Float.Input(
                    "seconds", default=10.0, min=0.1, max=600.0, step=0.01,
                    tooltip="Length of the sound; connect seconds of AudioX Encode Video here.",
                ),
                io.Int.Input(
                    "batch_size", default=1, min=1, max=64,
                    tooltip="Variations to make at once.",
                ),
            ],
            outputs=[io.Latent.Output("latent", tooltip=TO_SAMPLER)],
        )  # fmt: skip

    @classmethod
    def execute(cls, seconds: float, batch_size: int) -> io.NodeOutput:
        return io.NodeOutput(empty_latent(seconds, batch_size))


class AudioXInpaintLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXInpaintLatent",
            display_name="AudioX Inpaint Latent",
            category="AudioX/latent",
            description="Repair, continue or extend a sound: these seconds are made anew, the rest"
            " stays. Sample it with denoise 1.",
            search_aliases=["audio inpaint", "audio outpaint", "extend audio"],
            inputs=[
                io.Vae.Input("vae", tooltip="From AudioX Load Checkpoint or AudioX Load VAE."),
                io.Audio.Input("audio", tooltip="The sound to repair or to extend; of a"
                    " batch the first one."),
                io.String.Input(
                    "regenerate", default="",
                    tooltip="Seconds of the sound to make anew, such as 2.0-4.5, 7-8. Empty where"
                    " it is only extended.",
                ),
                io.Float.Input(
                    "feather", default=0.1, min=0.0, max=2.0, step=0.01,
                    tooltip="Seconds over which the known sound lets go, inside of what is made.",
                ),
                io.Float.Input(
                    "extend_before", default=0.0, min=0.0, max=300.0, step=0.01,
                    tooltip="Seconds to make before the sound.",
                ),
                io.Float.Input(
                    "extend_after", default=0.0, min=0.0, max=300.0, step=0.01,
                    tooltip="Seconds to make after the sound.",
                ),
            ],
            outputs=[
                io.Latent.Output("latent", tooltip=TO_SAMPLER),
                io.Float.Output("seconds", tooltip="Length with what is extended."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, vae: Any, audio: Any, regenerate: str, feather: float, extend_before: float,
        extend_after: float,
    ) -> io.NodeOutput:  # fmt: skip
        return io.NodeOutput(
            *inpaint_latent(vae, audio, regenerate, feather, extend_before, extend_after)
        )
