"""Rendered training data: scenes with sounds and captions, and music."""

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
