"""The classes of sounds."""

from audiox_core.lab.labels import EVENT_LABELS, LABELS, TEXTURE_LABELS
from audiox_core.lab.world.sounds import EVENT_SOUNDS
from audiox_core.lab.world.textures import TEXTURE_SOUNDS


def test_labels_are_those_of_the_sounds_in_the_order_in_which_scenes_draw_them():
    assert tuple(EVENT_SOUNDS) == EVENT_LABELS
    assert tuple(TEXTURE_SOUNDS) == TEXTURE_LABELS
    assert LABELS == EVENT_LABELS + TEXTURE_LABELS
