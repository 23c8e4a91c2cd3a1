"""Rendered training data of recorded sound effects: scenes of one or two sources, and captions."""

from .scenes import EffectScene, effect_scene

__all__ = ["EffectScene", "effect_scene"]
