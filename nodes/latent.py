"""Menu folder `AudioX/latent`: the latent that a sampler starts from."""

from typing import Any

from comfy_api.latest import io

from ..audiox_core.limits import MAX_SECONDS, MAX_TAKES, MIN_SECONDS
from . import bridge
from .bridge.schema import schema, with_text

TO_SAMPLER = "Connect to latent_image of a sampler."


class AudioXEmptyLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXEmptyLatent",
            display_name="AudioX Empty Latent",
            category="AudioX/latent",
            description="An empty audio latent of any length. The model works on windows of"
            " 10.96 s: AudioX Decode trims shorter audio, and longer audio uses several overlapping"
            " windows that are denoised together.",
            search_aliases=["loop", "seconds", "empty latent audio", "seamless loop", "duration"],
            inputs=[
                io.Float.Input(
                    "seconds",
                    default=10.0,
                    min=MIN_SECONDS,
                    max=float(MAX_SECONDS),
                    step=0.01,
                    tooltip="Length of the audio. For a video, connect seconds of AudioX Encode"
                    " Video.",
                ),
                io.Int.Input(
                    "batch_size",
                    default=1,
                    min=1,
                    max=MAX_TAKES,
                    tooltip="Number of variations to generate at once.",
                ),
                io.Boolean.Input(
                    "loop",
                    optional=True,  # added later: older API prompts do not have it
                    default=False,
                    tooltip="Audio of at least 2 s that can be repeated without a seam: its end"
                    " leads into its beginning. It has exactly the given length."
                    " SaveLatent and LoadLatent lose the loop: save the audio instead.",
                ),
            ],
            outputs=[io.Latent.Output("latent", tooltip=TO_SAMPLER)],
        )

    @classmethod
    def execute(cls, seconds: float, batch_size: int, loop: bool = False) -> io.NodeOutput:
        return io.NodeOutput(bridge.latent.empty_latent(seconds, batch_size, loop))


class AudioXInpaintLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXInpaintLatent",
            display_name="AudioX Inpaint Latent",
            category="AudioX/latent",
            description="Repair, continue or extend audio: the given seconds are regenerated, the"
            " rest is kept, with a crossfade between them. Sample with denoise 1.",
            search_aliases=[
                "extend audio",
                "continue music",
                "repair audio",
                "audio inpaint",
                "audio outpaint",
            ],
            inputs=[
                io.Vae.Input("vae", tooltip="From AudioX Load Checkpoint or AudioX Load VAE."),
                io.Audio.Input(
                    "audio",
                    tooltip="The audio to repair or extend. Only the first item of a batch is"
                    " used.",
                ),
                io.String.Input(
                    "regenerate",
                    default="",
                    tooltip="Time ranges to regenerate, in seconds: '2.0-4.5, 7-8'. Leave it empty"
                    " to only extend the audio.",
                ),
                io.Float.Input(
                    "feather",
                    default=0.1,
                    min=0.0,
                    max=2.0,
                    step=0.01,
                    tooltip="Length of the crossfade between kept and new audio, in seconds. It"
                    " lies inside a regenerated range or, where the audio is extended, at the end"
                    " or beginning of the kept audio.",
                ),
                io.Float.Input(
                    "extend_before",
                    default=0.0,
                    min=0.0,
                    max=300.0,
                    step=0.01,
                    tooltip="Seconds to generate before the audio.",
                ),
                io.Float.Input(
                    "extend_after",
                    default=0.0,
                    min=0.0,
                    max=300.0,
                    step=0.01,
                    tooltip="Seconds to generate after the audio.",
                ),
            ],
            outputs=[
                io.Latent.Output("latent", tooltip=TO_SAMPLER),
                io.Float.Output("seconds", tooltip="Total length, including the extensions."),
                io.Audio.Output(
                    "tail",
                    tooltip="The last ten seconds of the audio. Connect to AudioX Encode Audio, and"
                    " the model continues from them.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        vae: Any,
        audio: Any,
        regenerate: str,
        feather: float,
        extend_before: float,
        extend_after: float,
    ) -> io.NodeOutput:
        made = bridge.latent.inpaint_latent(
            vae, audio, regenerate, feather, extend_before, extend_after
        )
        return with_text(bridge.media.first_of_batch(audio), *made)
