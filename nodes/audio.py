"""Menu folder `AudioX/audio`: latents -> sound -> video."""

from typing import Any

from comfy_api.latest import io

from .bridge.audio import LEVELS, decoded, soundtracked
from .bridge.schema import schema, tell


class AudioXDecode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXDecode",
            display_name="AudioX Decode",
            category="AudioX/audio",
            description="Turn a latent into sound, piece by piece: memory stays flat.",
            inputs=[
                io.Vae.Input("vae", tooltip="From AudioX Load Checkpoint or AudioX Load VAE."),
                io.Latent.Input("latent", tooltip="From a sampler."),
                io.Combo.Input(
                    "level", options=LEVELS,
                    tooltip="'keep' is the model's own level, turned down only where it would clip;"
                    " 'peak' brings the loudest sample to full scale; 'loudness' brings it all to"
                    " the LUFS below.",
                ),
                io.Float.Input(
                    "lufs", default=-16.0, min=-40.0, max=-5.0, step=0.5,
                    tooltip="Integrated loudness with 'loudness': -14 to -16 for the web, -23 for"
                    " broadcast.",
                ),
                io.Boolean.Input(
                    "trim", default=True,
                    tooltip="Cut the sound to the seconds that were asked for; off gives the whole"
                    " window.",
                ),
                io.Boolean.Input(
                    "paste_back", default=True,
                    tooltip="After AudioX Inpaint Latent: outside of what was made anew, the very"
                    " samples of the original.",
                ),
            ],
            outputs=[io.Audio.Output("audio", tooltip="To AudioX Soundtrack, or Save Audio.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, vae: Any, latent: Any, level: str, lufs: float, trim: bool, paste_back: bool
    ) -> io.NodeOutput:
        return io.NodeOutput(decoded(vae, latent, level, lufs, trim, paste_back))


class AudioXSoundtrack(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXSoundtrack",
            display_name="AudioX Soundtrack",
            category="AudioX/audio",
            description="Put the sound under the video. A video in a file keeps its picture bit for"
            " bit; one that was made in the graph is encoded when it is saved.",
            inputs=[
                io.Video.Input("video", tooltip="From Load Video or Create Video."),
                io.Audio.Input("audio", tooltip="From AudioX Decode; of a batch the first one."),
                io.Boolean.Input(
                    "mix_original", default=False,
                    tooltip="Keep the video's own sound under the new one.",
                ),
                io.Float.Input(
                    "original_db", default=0.0, min=-60.0, max=12.0, step=0.5,
                    tooltip="Level of the video's own sound, in dB.",
                ),
                io.Float.Input(
                    "duck_db", default=0.0, min=0.0, max=40.0, step=0.5,
                    tooltip="How far the video's own sound steps back while the new one is loud.",
                ),
                io.Float.Input(
                    "gain_db", default=0.0, min=-60.0, max=24.0, step=0.5,
                    tooltip="Level of the new sound, in dB.",
                ),
            ],
            outputs=[io.Video.Output("video_out", display_name="video", tooltip="To Save Video.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, video: Any, audio: Any, mix_original: bool, original_db: float, duck_db: float,
        gain_db: float,
    ) -> io.NodeOutput:  # fmt: skip
        made, what = soundtracked(video, audio, mix_original, original_db, duck_db, gain_db)
        tell(cls, what)
        return io.NodeOutput(made)
