"""Menu folder `AudioX/audio`: layers of sound and their mix."""

from typing import Any

from comfy_api.latest import io

from ..audiox_core.limits import ATTACK, CEILING_DB, LOWEST_CEILING, MAX_MIX_SECONDS, RELEASE
from . import bridge
from .bridge.schema import Layers, schema, with_text

LONGEST = float(MAX_MIX_SECONDS)


class AudioXLayer(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXLayer",
            display_name="AudioX Layer",
            category="AudioX/audio",
            description="One sound of a mix: ambience, effects, music or dialogue, with its gain,"
            " start, fades and pan. Chain as many as you need, then connect AudioX Mix.",
            search_aliases=[
                "volume",
                "fade",
                "audio track",
                "audio mixer",
                "gain",
                "pan",
                "crossfade",
                "delay audio",
                "ambience",
                "dialogue",
            ],
            inputs=[
                io.Audio.Input(
                    "audio",
                    tooltip="Any audio, at any sample rate, for example from AudioX Decode or Load"
                    " Audio. Only the first item of a batch is used.",
                ),
                Layers.Input(
                    "layers",
                    optional=True,
                    tooltip="The layers before this one, from another AudioX Layer. The first layer"
                    " needs none.",
                ),
                io.Float.Input(
                    "gain_db",
                    default=0.0,
                    min=-60.0,
                    max=24.0,
                    step=0.5,
                    tooltip="Gain of this layer, in dB.",
                ),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=-LONGEST,
                    max=LONGEST,
                    step=0.01,
                    tooltip="Second of the mix at which the layer begins. A negative value cuts"
                    " these seconds off its beginning.",
                ),
                io.Float.Input(
                    "fade_in",
                    default=0.0,
                    min=0.0,
                    max=LONGEST,
                    step=0.01,
                    tooltip="Length of the fade at its beginning, in seconds. Fades have equal"
                    " power: where one layer fades out while another fades in, the level stays.",
                ),
                io.Float.Input(
                    "fade_out",
                    default=0.0,
                    min=0.0,
                    max=LONGEST,
                    step=0.01,
                    tooltip="Length of the fade at its end, in seconds; at the end of the mix, if"
                    " that comes first.",
                ),
                io.Float.Input(
                    "pan",
                    default=0.0,
                    min=-1.0,
                    max=1.0,
                    step=0.05,
                    tooltip="-1 is left, 0 is unchanged, 1 is right, with constant power (sine"
                    " law). A stereo sound is balanced: at -1 only its left channel is heard.",
                ),
                io.String.Input(
                    "name", default="", tooltip="Name of the layer in the levels of AudioX Mix."
                ),
            ],
            outputs=[
                Layers.Output(
                    "layers_out",
                    display_name="layers",
                    tooltip="Connect to AudioX Mix, or to layers of the next AudioX Layer.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        audio: Any,
        gain_db: float,
        start: float,
        fade_in: float,
        fade_out: float,
        pan: float,
        name: str,
        layers: Any = None,
    ) -> io.NodeOutput:
        added, shown = bridge.mix.layer_added(
            audio, gain_db, start, fade_in, fade_out, pan, name, layers=layers
        )
        return with_text(shown, added)


class AudioXMix(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="AudioXMix",
            display_name="AudioX Mix",
            category="AudioX/audio",
            description="Mix layers, turn them down under one of them, and bring the mix to a"
            " loudness below a true-peak ceiling. The node shows the levels of every layer and of"
            " the mix.",
            search_aliases=[
                "loudness",
                "mix audio",
                "limiter",
                "mastering",
                "lufs",
                "normalize audio",
                "ducking",
                "sidechain",
                "true peak",
                "combine audio",
            ],
            inputs=[
                Layers.Input("layers", tooltip="From the last AudioX Layer."),
                io.Int.Input(
                    "duck_under",
                    default=0,
                    min=0,
                    max=1_000,
                    tooltip="Number of the layer under which all others are turned down, for"
                    " example that of the dialogue; AudioX Layer shows it. 0 turns ducking off.",
                ),
                io.Float.Input(
                    "duck_db",
                    default=9.0,
                    min=0.0,
                    max=40.0,
                    step=0.5,
                    tooltip="How far they are turned down while it is loud, in dB.",
                ),
                io.Float.Input(
                    "attack",
                    default=ATTACK,
                    min=0.0,
                    max=5.0,
                    step=0.01,
                    tooltip="How fast they are turned down: seconds for 63 % of the way.",
                ),
                io.Float.Input(
                    "release",
                    default=RELEASE,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    tooltip="How fast they come back: seconds for 63 % of the way.",
                ),
                io.Float.Input(
                    "lufs",
                    default=-16.0,
                    min=-40.0,
                    max=0.0,
                    step=0.5,
                    tooltip="Target loudness in LUFS: -14 to -16 for the web, -23 for broadcast. A"
                    " limiter lowers peaks that would exceed the ceiling. 0 keeps the level of the"
                    " layers.",
                ),
                io.Float.Input(
                    "ceiling_db",
                    default=CEILING_DB,
                    min=LOWEST_CEILING,
                    max=0.0,
                    step=0.1,
                    tooltip="Highest true peak, in dB of full scale. -1 leaves room for AAC.",
                ),
                io.Float.Input(
                    "seconds",
                    default=0.0,
                    min=0.0,
                    max=LONGEST,
                    step=0.01,
                    tooltip="Length of the mix; connect seconds of AudioX Encode Video. 0 ends it"
                    " with its last layer.",
                ),
            ],
            outputs=[
                io.Audio.Output("audio", tooltip="Connect to AudioX Soundtrack or Save Audio.")
            ],
        )

    @classmethod
    def execute(
        cls,
        layers: Any,
        duck_under: int,
        duck_db: float,
        attack: float,
        release: float,
        lufs: float,
        ceiling_db: float,
        seconds: float,
    ) -> io.NodeOutput:
        ducking = bridge.mix.Ducking(duck_db, attack, release)
        audio, shown = bridge.mix.mixed(layers, duck_under, ducking, lufs, ceiling_db, seconds)
        return with_text(shown, audio)
