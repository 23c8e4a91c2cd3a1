"""A toy world to train on: rendered pictures, their sounds, and what is said of them."""

from .motion import Event, Moment
from .music import Phrase, phrase
from .scenes import EVENT_LABELS, LABELS, TEXTURE_LABELS, Scene, scene
from .source import World

__all__ = [
    "EVENT_LABELS",
    "LABELS",
    "TEXTURE_LABELS",
    "Event",
    "Moment",
    "Phrase",
    "Scene",
    "World",
    "phrase",
    "scene",
]
