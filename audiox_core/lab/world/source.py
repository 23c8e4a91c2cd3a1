"""Rendered scenes and music as training clips. Axes: `n` samples, `f` frames, `h w` pixels."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from numpy.random import default_rng
from torch import Tensor

from ...config import AudioXConfig
from ...errors import SettingsError
from ...training.clips import TrainingClip, clips_key, pad_crop
from ...training.config import DataConfig
from .music import Phrase, phrase
from .rendered_scene import RenderedScene
from .scenes import SHORTEST, scene

PROMPTED = 1 / 3  # of the scenes come with another sound of their class as a prompt
DEFAULT_CLIPS = 2_000  # of a run that does not set data.clips
SEEDS = 2**48
ITEM, PROMPT = range(2)  # streams of random numbers of an index


class World:
    """Clips of scenes and music, as one model reads them. Same seed and index: same clip."""

    def __init__(
        self,
        config: AudioXConfig,
        *,
        seed: int,
        count: int,
        music: float = 0.25,
        make_scene: Callable[..., RenderedScene] = scene,
        make_phrase: Callable[[int, float], Phrase] = phrase,
    ) -> None:
        """Nothing is rendered yet.

        Args:
            config: rates and sizes of what the model hears and sees.
            seed: of the whole source; another one shares no clip with it.
            count: how many clips there are.
            music: share of the clips that are phrases; they need two packages, see `play`.
            make_scene: as `scene`.
            make_phrase: as `phrase`.

        Raises:
            SettingsError: `count` below 1, or a share that is none.
        """
        if count < 1:
            raise SettingsError(f"The world has {count} clips: it must have 1 or more.")
        if not 0 <= music <= 1:
            raise SettingsError(f"The share of music is {music:g}: it must be 0 to 1.")
        self.config, self.seed, self.count, self.music = config, seed, count, music
        self.make_scene, self.make_phrase = make_scene, make_phrase
        self.notes: dict[str, int] = {}

    def __len__(self) -> int:
        return self.count

    def item(self, index: int) -> RenderedScene | Phrase:
        """What `make_scene` or `make_phrase` gives for a clip; a phrase starts with the prompt."""
        if not 0 <= index < self.count:
            raise IndexError(f"no clip {index} among {self.count}")
        rng = default_rng([self.seed, index, ITEM])
        is_music, seed = rng.random() < self.music, int(rng.integers(SEEDS))
        latent_format = self.config.latent
        if is_music:
            return self.make_phrase(
                seed, latent_format.conditioned_seconds + latent_format.window_seconds
            )
        return self.make_scene(seed, seconds=max(latent_format.window_seconds, SHORTEST))

    def clip(self, index: int) -> TrainingClip:
        """The clip of an index. Raises SettingsError if music cannot be rendered."""
        item = self.item(index)
        return self._music_clip(item) if isinstance(item, Phrase) else self._scene_clip(item, index)

    def _music_clip(self, item: Phrase) -> TrainingClip:
        """Music: the conditioned seconds come first, as the prompt; the target continues them."""
        latent_format = self.config.latent
        sound = item.audio(latent_format.sample_rate)
        conditioned = latent_format.samples(latent_format.conditioned_seconds)
        target = pad_crop(sound, latent_format.window * latent_format.hop_length, conditioned)
        return TrainingClip(target, item.caption, prompt=sound[:, :conditioned].clone())

    def _scene_clip(self, item: RenderedScene, index: int) -> TrainingClip:
        latent_format, video = self.config.latent, self.config.video
        samples = latent_format.window * latent_format.hop_length
        sync = video.sync
        return TrainingClip(
            pad_crop(item.audio(latent_format.sample_rate), samples),
            item.caption,
            frames=_pictures(item, video.frames, video.fps, video.clip.image),
            sync=sync and _pictures(item, sync.frames, sync.fps, sync.encoder.image),
            prompt=self._prompt(item, index),
        )

    def _prompt(self, item: RenderedScene, index: int) -> Tensor | None:
        """For a third of the scenes the sound of another scene of the same class."""
        rng = default_rng([self.seed, index, PROMPT])
        if rng.random() >= PROMPTED:
            return None
        latent_format = self.config.latent
        seconds = max(latent_format.conditioned_seconds, SHORTEST)
        other = self.make_scene(int(rng.integers(SEEDS)), item.label, seconds)
        sound = other.audio(latent_format.sample_rate)
        return pad_crop(sound, latent_format.samples(latent_format.conditioned_seconds))


def _pictures(item: RenderedScene, frames: int, fps: float, size: int) -> Tensor:
    times = torch.arange(frames, dtype=torch.float64) / fps
    return item.frames(times.tolist(), size)


@dataclass(frozen=True)
class WorldData:
    """The world as a training run's data source (`training.clips.DataSource`)."""

    data: DataConfig
    config: AudioXConfig

    def open(self) -> World:
        """Open the source. Raises SettingsError for a share of music that is none."""
        count = self.data.first + (self.data.clips or DEFAULT_CLIPS)
        return World(self.config, seed=self.data.seed, count=count, music=self.data.music)

    def key(self) -> str:
        """A name for the clips: the same name, the same clips."""
        return clips_key(b"", ("world", self.data.seed, self.data.music), self.config)
