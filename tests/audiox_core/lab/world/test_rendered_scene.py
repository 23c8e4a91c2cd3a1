"""Scenes of both worlds can take the place of each other."""

import pytest

from audiox_core.lab.world import phrase, scene
from audiox_core.lab.world.rendered_scene import RenderedScene


def test_a_scene_of_the_synthetic_world_is_one():
    assert isinstance(scene(1), RenderedScene)
    assert not isinstance(phrase(1), RenderedScene)


@pytest.mark.usefixtures("effects")
def test_a_scene_of_effects_is_one():
    from audiox_core.lab.effects.scenes import effect_scene

    assert isinstance(effect_scene(1), RenderedScene)
