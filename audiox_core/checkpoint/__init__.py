"""A weights file -> which model it is -> modules with weights."""

from .checkpoint_file import (
    EMBEDDED,
    Checkpoint,
    CheckpointFile,
    load_checkpoint,
    open_checkpoint,
)
from .parts import VaeFile, open_vae

__all__ = [
    "EMBEDDED",
    "Checkpoint",
    "CheckpointFile",
    "VaeFile",
    "load_checkpoint",
    "open_checkpoint",
    "open_vae",
]
