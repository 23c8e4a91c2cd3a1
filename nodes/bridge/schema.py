"""V3 schemas that old and new ComfyUI both take, and text that a node shows."""

import dataclasses
from typing import Any

from comfy_api.latest import io
from server import PromptServer

from ...audiox_core.errors import AudioXError

# ComfyUI shows the module, the class and the text of an error. The module of a pack is a path.
for _kind in (AudioXError, *AudioXError.__subclasses__()):
    _kind.__module__, _kind.__qualname__ = "builtins", "AudioX"
AudioXError.__str__ = lambda error: error.for_node

Conditioners = io.Custom("AUDIOX_CONDITIONERS")
Features = io.Custom("AUDIOX_FEATURES")

_KNOWN = {field.name for field in dataclasses.fields(io.Schema)}


def schema(**settings: Any) -> io.Schema:
    """A Schema without the fields that this ComfyUI does not know, as one of them would fail.

    Its outputs are shown by their own names; ComfyUI 0.3.64 would show the type.
    """
    for output in settings["outputs"]:
        output.display_name = output.display_name or output.id
    return io.Schema(
        **{name: value for name, value in settings.items() if name in _KNOWN},
        hidden=[io.Hidden.unique_id],
    )


def tell(node: Any, text: str) -> None:
    """Show a line on the node that is running."""
    server = getattr(PromptServer, "instance", None)
    if server is not None and node.hidden is not None and node.hidden.unique_id is not None:
        server.send_progress_text(text, node.hidden.unique_id)
