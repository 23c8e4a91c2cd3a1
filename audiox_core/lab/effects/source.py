"""Scenes of recorded effects and music as a training run's data."""

from dataclasses import dataclass
from functools import partial

from ...config import AudioXConfig
from ...training.clips import clips_key
from ...training.config import DataConfig
from ..world.music import phrase
from ..world.source import DEFAULT_CLIPS, World
from .recordings import check_installed
from .scenes import VERSION, effect_scene

NAME = "effects"  # as data.source


def effects_world(config: AudioXConfig, *, seed: int, count: int, music: float = 0.25) -> World:
    """Clips of scenes of effects and of mellow music; arguments and errors as `World`."""
    return World(
        config,
        seed=seed,
        count=count,
        music=music,
        make_scene=effect_scene,
        make_phrase=partial(phrase, mellow=True),
    )


@dataclass(frozen=True)
class EffectsData:
    """The data source of `--data effects` (`training.clips.DataSource`)."""

    data: DataConfig
    config: AudioXConfig

    def open(self) -> World:
        """Open the source.

        Raises:
            SettingsError: packages are not installed, or a share of music that is none.
        """
        check_installed(music=self.data.music > 0)
        count = self.data.first + (self.data.clips or DEFAULT_CLIPS)
        return effects_world(self.config, seed=self.data.seed, count=count, music=self.data.music)

    def key(self) -> str:
        """A name for the clips: the same name, the same clips."""
        return clips_key(b"", (NAME, VERSION, self.data.seed, self.data.music), self.config)
