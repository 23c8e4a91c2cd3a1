"""Which source a run's clips come from; opened where they are needed, maybe in another process."""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from ..config import AudioXConfig
from ..errors import SettingsError
from .clips import Source
from .config import DataConfig

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
            from .world import World

            return World(self.config)
        from .manifest import Manifest

        return Manifest(Path(self.data.source), self.config, media=self.data.media or None)

    def indices(self) -> range:
        """The clips that a run uses."""
        first, clips = self.data.first, self.data.clips
        if self.data.source == WORLD:
            return range(first, first + (clips or WORLD_CLIPS))
        length = len(self.open())
        last = min(first + clips, length) if clips else length
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
        digest.update(repr((self.data.source, self.data.media)).encode())
        grid, video, text = self.config.latent, self.config.video, self.config.text_tokens
        digest.update(repr((grid, video.fps, video.frames, video.clip.image, video.sync)).encode())
        digest.update(repr((text, self.config.audio_tokens)).encode())
        return digest.hexdigest()
