"""AudioX in plain PyTorch: sound effects and music from text, video, pictures and audio.

The road: media files -> features -> conditioning -> latents -> audio -> soundtrack.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checkpoint import Checkpoint, CheckpointFile, load_checkpoint, open_checkpoint
    from .conditioners.assemble import Conditioning, assemble
    from .conditioners.audio import encode_audio
    from .conditioners.text import encode_text
    from .conditioners.video import encode_image, encode_sync, encode_video
    from .errors import AudioXError
    from .pipeline import FeatureCache, Pipeline, Request, Soundtrack, decode, generate, sample

__all__ = [
    "AudioXError",
    "Checkpoint",
    "CheckpointFile",
    "Conditioning",
    "FeatureCache",
    "Pipeline",
    "Request",
    "Soundtrack",
    "assemble",
    "decode",
    "encode_audio",
    "encode_image",
    "encode_sync",
    "encode_text",
    "encode_video",
    "generate",
    "load_checkpoint",
    "open_checkpoint",
    "sample",
]

_HOMES = {
    "checkpoint": ("Checkpoint", "CheckpointFile", "load_checkpoint", "open_checkpoint"),
    "conditioners.assemble": ("Conditioning", "assemble"),
    "conditioners.audio": ("encode_audio",),
    "conditioners.text": ("encode_text",),
    "conditioners.video": ("encode_image", "encode_sync", "encode_video"),
    "errors": ("AudioXError",),
    "pipeline": (
        "FeatureCache",
        "Pipeline",
        "Request",
        "Soundtrack",
        "decode",
        "generate",
        "sample",
    ),
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: a host that starts with this package starts fast."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
