"""Which source a run's clips come from; opened where they are needed, maybe in another process."""

import logging
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from ..config import AudioXConfig
from ..errors import SettingsError
from .broken import notes_of
from .clips import Source
from .config import DataConfig

logger = logging.getLogger(__name__)

WORLD = "world"
WORLD_CLIPS = 2_000  # where nobody says how many


@dataclass(frozen=True)
class Origin:
    """A source by name, for a model of certain sizes."""

    data: DataConfig
    config: AudioXConfig

    def open(self) -> Source:
        """The source. Raises SettingsError where there is none of that name."""
        if not self.data.source:
            raise SettingsError(
                "There is nothing to train on: give --data world, or --data MANIFEST.jsonl."
            )
        if self.data.source == WORLD:
            from .world.source import World

            count = self.data.first + (self.data.clips or WORLD_CLIPS)
            return World(self.config, seed=self.data.seed, count=count, music=self.data.music)
        from .manifest_source import ManifestSource

        path = Path(self.data.source)
        return ManifestSource(path, Path(self.data.media or path.parent), self.config)

    def indices(self) -> range:
        """The clips that a run uses."""
        source, first = self.open(), self.data.first
        length = len(source)
        for what, count in notes_of(source).items():  # what a list's reader did to it
            logger.warning("%s: %s %d times", self.data.source, what, count)
        last = min(first + self.data.clips, length) if self.data.clips else length
        if first >= last:
            raise SettingsError(
                f"{self.data.source} holds {length} clips and none from number {first} on: "
                "take a smaller data.first, or another manifest."
            )
        return range(first, last)

    def key(self) -> str:
        """A name for the clips: the same name, the same clips."""
        digest = blake2b(digest_size=8)
        path = Path(self.data.source)
        if self.data.source != WORLD and path.is_file():
            digest.update(path.read_bytes())
        data = (self.data.source, self.data.media, self.data.seed, self.data.music)
        digest.update(repr(data).encode())
        grid, video, text = self.config.latent, self.config.video, self.config.text_tokens
        digest.update(repr((grid, video.fps, video.frames, video.clip.image, video.sync)).encode())
        digest.update(repr((text, self.config.audio_tokens)).encode())
        return digest.hexdigest()
