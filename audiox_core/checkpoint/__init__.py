"""A weights file -> which model it is -> modules with weights."""

from .load import Checkpoint, load_checkpoint

__all__ = ["Checkpoint", "load_checkpoint"]
