"""Effects as a training run's data."""

from audiox_core.config import AudioXConfig
from audiox_core.lab.effects.scenes import EffectScene
from audiox_core.lab.effects.source import EffectsData
from audiox_core.lab.world import Phrase
from audiox_core.lab.world.music import MELLOW
from audiox_core.training.config import DataConfig


def source(**settings):
    return EffectsData(
        DataConfig(source="effects", clips=60, music=0.3, **settings), AudioXConfig()
    )


def test_scenes_and_mellow_music():
    world = source().open()
    items = [world.item(index) for index in range(60)]
    phrases = [item for item in items if isinstance(item, Phrase)]
    assert len(world) == 60
    assert 8 <= len(phrases) <= 30
    assert {item.instrument for item in phrases} <= MELLOW.keys()
    assert all(isinstance(item, EffectScene) for item in items if item not in phrases)


def test_the_key_names_all_that_the_clips_depend_on():
    assert source().key() == source().key()
    assert source().key() != source(seed=1).key()
    assert EffectsData(DataConfig(music=0.1), AudioXConfig()).key() != source().key()
