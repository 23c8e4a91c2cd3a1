"""Menu folder `AudioX/audio`: latent -> AUDIO -> VIDEO."""

from typing import Any

from comfy_api.latest import io

from ..audiox_core.limits import LEVELS, MAX_START
from . import bridge
from .bridge.schema import schema, with_text


class AudioXDecode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXDecode",
            display_name="AudioX Decode",
            category="AudioX/audio",
            description="Decode a latent to audio. Long latents are decoded in chunks, so memory"
            " use grows by little more than the audio itself. The node shows loudness and true"
            " peak.",
            search_aliases=["loudness", "vae decode audio", "latent to audio", "normalize audio"],
            inputs=[
                io.Vae.Input("vae", tooltip="From AudioX Load Checkpoint or AudioX Load VAE."),
                io.Latent.Input(
                    "latent", tooltip="From AudioX Sampler, or any sampler with an AudioX model."
                ),
                io.Combo.Input(
                    "level",
                    options=[*LEVELS],
                    tooltip="'keep' leaves the model's level and turns it down only if it would"
                    " clip. 'peak' normalizes the loudest sample to full scale. 'loudness'"
                    " normalizes to the lufs value below.",
                ),
                io.Float.Input(
                    "lufs",
                    default=-16.0,
                    min=-40.0,
                    max=-5.0,
                    step=0.5,
                    tooltip="Target loudness in LUFS, used when level is 'loudness': -14 to -16 for"
                    " the web, -23 for broadcast. A limiter keeps true peaks at or below -1 dB.",
                ),
                io.Boolean.Input(
                    "trim",
                    default=True,
                    tooltip="Cut the audio to the requested length. When off, short audio "
                    "keeps the full window of 10.96 s.",
                ),
                io.Boolean.Input(
                    "paste_back",
                    default=True,
                    tooltip="After AudioX Inpaint Latent: copy the original samples back wherever"
                    " nothing was regenerated.",
                ),
            ],
            outputs=[
                io.Audio.Output("audio", tooltip="Connect to AudioX Soundtrack or Save Audio.")
            ],
        )

    @classmethod
    def execute(
        cls, vae: Any, latent: Any, level: str, lufs: float, trim: bool, paste_back: bool
    ) -> io.NodeOutput:
        audio, levels = bridge.audio.decoded(vae, latent, level, lufs, trim, paste_back)
        return with_text(levels, audio)


class AudioXSoundtrack(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXSoundtrack",
            display_name="AudioX Soundtrack",
            category="AudioX/audio",
            description="Add the audio to a video. The video stream of a file is copied without"
            " re-encoding where that is possible; the node shows if it had to be re-encoded. A"
            " video made in the graph is encoded when you save it.",
            search_aliases=[
                "dub",
                "soundtrack",
                "add audio to video",
                "mux",
                "replace audio",
                "mix audio",
                "foley",
            ],
            inputs=[
                io.Video.Input(
                    "video", tooltip="Any video: from Load Video, Create Video, Trim Video."
                ),
                io.Audio.Input(
                    "audio", tooltip="From AudioX Decode. Only the first item of a batch is used."
                ),
                io.Boolean.Input(
                    "mix_original",
                    default=False,
                    tooltip="Mix the new audio with the video's own audio instead of replacing it.",
                ),
                io.Float.Input(
                    "original_db",
                    default=0.0,
                    min=-60.0,
                    max=12.0,
                    step=0.5,
                    tooltip="Gain of the video's own audio, in dB.",
                ),
                io.Float.Input(
                    "duck_db",
                    default=0.0,
                    min=0.0,
                    max=40.0,
                    step=0.5,
                    tooltip="How far the video's own audio is turned down while the new audio is"
                    " loud, in dB. 0 turns ducking off.",
                ),
                io.Float.Input(
                    "gain_db",
                    default=0.0,
                    min=-60.0,
                    max=24.0,
                    step=0.5,
                    tooltip="Gain of the new audio, in dB.",
                ),
                io.Float.Input(
                    "start",
                    optional=True,  # added later: older API prompts do not have it
                    default=0.0,
                    min=0.0,
                    max=float(MAX_START),
                    step=0.01,
                    tooltip="Second of the video at which the new audio begins. After AudioX Encode"
                    " Video with a start, use the same value. Around the audio there is silence, or"
                    " the video's own audio when mixed.",
                ),
            ],
            outputs=[
                io.Video.Output("video_out", display_name="video", tooltip="Connect to Save Video.")
            ],
        )

    @classmethod
    def execute(
        cls,
        video: Any,
        audio: Any,
        mix_original: bool,
        original_db: float,
        duck_db: float,
        gain_db: float,
        start: float = 0.0,
    ) -> io.NodeOutput:
        made, what = bridge.audio.soundtracked(
            video,
            audio,
            start,
            mix_original=mix_original,
            original_db=original_db,
            duck_db=duck_db,
            gain_db=gain_db,
        )
        return with_text(what, made)
