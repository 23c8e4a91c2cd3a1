"""Effects as a training run's data."""

from pathlib import Path

import pytest

from audiox_core.config import AudioXConfig
from audiox_core.errors import SettingsError
from audiox_core.lab.effects import recordings
from audiox_core.lab.effects.scenes import EffectScene
from audiox_core.lab.effects.source import EffectsData
from audiox_core.lab.world import Phrase
from audiox_core.lab.world.music import MELLOW
from audiox_core.training.config import DataConfig


def source(**settings):
    return EffectsData(
        DataConfig(source="effects", clips=60, music=0.3, **settings), AudioXConfig()
    )


@pytest.mark.usefixtures("effects", "music")
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


def test_missing_packages_are_refused_before_clips_are_left_out(monkeypatch):
    monkeypatch.setattr(recordings, "FONT", Path("missing.sf2"))
    with pytest.raises(SettingsError, match="not installed: run `apt-get install"):
        source().open()


@pytest.mark.usefixtures("effects")
def test_music_needs_its_package(monkeypatch):
    monkeypatch.setattr(recordings, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="pip install --no-deps tinysoundfont"):
        source().open()
    assert EffectsData(DataConfig(music=0.0), AudioXConfig()).open().music == 0
