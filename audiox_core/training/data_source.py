"""Where the clips of a run come from; opened where they are needed, maybe in another process."""

import logging
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from ..config import AudioXConfig
from ..errors import SettingsError
from .clips import Source
from .config import DataConfig
from .invalid_items import notes_of
from .manifest_source import ManifestSource

logger = logging.getLogger(__name__)


class DataSource(Protocol):
    """Opens a source of clips; can be sent to another process and opened there."""

    def open(self) -> Source:
        """Open the source. Raises SettingsError if it cannot be used."""
        ...

    def key(self) -> str:
        """A name for the clips: the same name, the same clips."""
        ...


@dataclass(frozen=True)
class ManifestData:
    """The clips of a manifest, read as a model of certain sizes needs them."""

    data: DataConfig
    config: AudioXConfig

    def open(self) -> Source:
        """As `DataSource`."""
        if not self.data.source:
            raise SettingsError(
                "There is no training data: add --data MANIFEST.jsonl, or --data world."
            )
        path = Path(self.data.source)
        return ManifestSource(path, Path(self.data.media or path.parent), self.config)

    def key(self) -> str:
        """As `DataSource`."""
        path = Path(self.data.source)
        content = path.read_bytes() if path.is_file() else b""
        return clips_key(content, (self.data.source, self.data.media), self.config)


def clips_key(content: bytes, options: tuple[object, ...], config: AudioXConfig) -> str:
    """A hash of what clips depend on.

    Args:
        content: of the file that lists them, if there is one.
        options: settings of the source.
        config: sizes and rates of the model that reads the clips.
    """
    digest = blake2b(content, digest_size=8)
    latent, video = config.latent, config.video
    digest.update(repr(options).encode())
    digest.update(repr((latent, video.fps, video.frames, video.clip.image, video.sync)).encode())
    digest.update(repr((config.text_tokens, config.audio_tokens)).encode())
    return digest.hexdigest()


def clip_range(source: Source, data: DataConfig) -> range:
    """The clips of a source that a run uses. Raises SettingsError if there are none."""
    length, first = len(source), data.first
    for what, count in notes_of(source).items():
        logger.warning("%s: %s %d times", data.source, what, count)
    last = min(first + data.clips, length) if data.clips else length
    if first >= last:
        raise SettingsError(
            f"{data.source} holds {length} clips and none from number {first} on: "
            "use a smaller data.first, or another manifest."
        )
    return range(first, last)
