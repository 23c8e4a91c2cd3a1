"""V3 schemas that old and new ComfyUI both take, and text that a node shows."""

import dataclasses
from typing import Any

import comfy.samplers
from comfy_api.latest import io

from ...audiox_core.errors import AudioXError


# ComfyUI shows the module, the class and the text of an error. The module of a pack is a path.
def _name_for_comfyui(kind: type[AudioXError]) -> None:
    kind.__module__, kind.__qualname__ = "builtins", "AudioX"
    for child in kind.__subclasses__():
        _name_for_comfyui(child)


_name_for_comfyui(AudioXError)
AudioXError.__str__ = lambda error: error.for_node

OWN = "model default"  # of a combo: what the model was made for
SAMPLERS = [OWN, *comfy.samplers.KSampler.SAMPLERS]
SCHEDULERS = [OWN, *comfy.samplers.KSampler.SCHEDULERS]

Conditioners = io.Custom("AUDIOX_CONDITIONERS")
Features = io.Custom("AUDIOX_FEATURES")
Layers = io.Custom("AUDIOX_LAYERS")


def conditioners_input() -> Any:
    """The socket of every node that encodes or assembles."""
    tooltip = "From AudioX Load Checkpoint or AudioX Load Conditioners."
    return Conditioners.Input("conditioners", tooltip=tooltip)


def clip_input() -> io.Clip.Input:
    """The socket of every node that encodes text."""
    return io.Clip.Input(
        "clip",
        optional=True,
        tooltip="T5-base from CLIPLoader with type stable_audio. Needed only if the checkpoint has"
        " no text encoder and T5-base is not in models/text_encoders.",
    )


def modality_inputs() -> list[Any]:
    """The sockets of a node that joins text, video and audio."""
    return [
        conditioners_input(),
        io.Conditioning.Input(
            "text",
            optional=True,
            tooltip="The prompt: from AudioX Encode Text, AudioX Prompt Timeline, or"
            " CLIPTextEncode with T5-base.",
        ),
        io.Conditioning.Input(
            "negative_text",
            optional=True,
            tooltip="Sounds to avoid; no effect at cfg 1, the setting of AudioX-Turbo. If it is not"
            " connected, or its prompt is empty, guidance uses the unconditional input that the"
            " model was trained with.",
        ),
        Features.Input(
            "video", optional=True, tooltip="From AudioX Encode Video or AudioX Encode Image."
        ),
        Features.Input("audio", optional=True, tooltip="From AudioX Encode Audio."),
    ]


def strength_input(what: str) -> io.Float.Input:
    """The strength of a modality, for every node that joins them."""
    return io.Float.Input(
        f"{what}_strength",
        default=1.0,
        min=0.0,
        max=1.0,
        step=0.01,
        tooltip=f"Influence of the {what}: 0 ignores it, 1 uses it fully; linear in between.",
    )


_KNOWN = {field.name for field in dataclasses.fields(io.Schema)}


def schema(**settings: Any) -> io.Schema:
    """A Schema without the fields that this ComfyUI does not know, as one of them would fail.

    Its outputs are shown by their own names; ComfyUI 0.3.64 would show the type.
    """
    for output in settings["outputs"]:
        output.display_name = output.display_name or output.id
    return io.Schema(**{name: value for name, value in settings.items() if name in _KNOWN})


def with_text(text: str, *outputs: Any) -> io.NodeOutput:
    """The outputs of a node with a line that stays on it; `web/js/audiox.js` shows it."""
    return io.NodeOutput(*outputs, ui={"text": [text]})
