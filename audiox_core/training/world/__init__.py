"""A toy world to train on: rendered pictures, their sounds, and what is said of them."""

from .motion import Event, Moment
from .scenes import EVENT_LABELS, LABELS, TEXTURE_LABELS, Scene, scene

__all__ = ["EVENT_LABELS", "LABELS", "TEXTURE_LABELS", "Event", "Moment", "Scene", "scene"]
