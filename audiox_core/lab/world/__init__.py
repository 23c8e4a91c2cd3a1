"""Rendered training data: scenes with sounds and captions, and music."""

from .motion import Event, Moment
from .music import Phrase, phrase
from .scenes import Scene, scene
from .source import World

__all__ = [
    "Event",
    "Moment",
    "Phrase",
    "Scene",
    "World",
    "phrase",
    "scene",
]
