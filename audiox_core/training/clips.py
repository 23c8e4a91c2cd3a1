"""What a model is trained on: clips of picture, sound and text, from any source.

Axes: `c` audio channels, `n` samples, `f` video frames, `h w` pixels.
"""

import logging
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

from torch import Tensor
from torch.nn.functional import pad

from ..config import AudioXConfig
from ..errors import AudioXError, SettingsError
from .config import DataConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingClip:
    """One training item: a target sound and its conditions; None is learned as absent."""

    audio: Tensor  # the target, `2 n` at the model's rate, one window long (padded with zeros)
    caption: str = ""
    frames: Tensor | None = None  # `f 3 h w` uint8 at `VideoConfig.fps`, as many as the model reads
    sync: Tensor | None = None  # the same at `SyncConfig.fps`, for a model with Synchformer
    prompt: Tensor | None = None  # an audio prompt, `2 n`, as long as the conditioned seconds


class Source(Protocol):
    """Clips by number. The same number is the same clip, in every process and every run."""

    notes: dict[str, int]  # what was changed in items to make them usable, and how often

    def __len__(self) -> int:
        """The number of clips."""
        ...

    def clip(self, index: int) -> TrainingClip:
        """A clip. Raises AudioXError, in one line, for an item that cannot be used."""
        ...


class DataSource(Protocol):
    """Opens a source; can be sent to another process and opened there."""

    def open(self) -> Source:
        """Open the source. Raises SettingsError if it cannot be used."""
        ...

    def key(self) -> str:
        """A name for the clips: the same name, the same clips."""
        ...


@dataclass(frozen=True)
class InvalidItem:
    """One item and why it cannot be used."""

    item: str  # what it is called
    line: int  # of its list, from 1; 0 where it comes from none
    reason: str  # a few words, to count by
    message: str  # what was found, expected, to be done
    index: int = -1  # of its source; -1 where it is in none


class InvalidItemError(AudioXError):
    """What a source raises for an item that cannot be used."""

    def __init__(self, invalid: InvalidItem) -> None:
        where = f" (line {invalid.line})" if invalid.line else ""
        super().__init__(f"{invalid.item}{where}: {invalid.message}")
        self.item = invalid

    def __reduce__(self) -> tuple[Any, ...]:  # through the queue of a loader's process
        return type(self), (self.item,)


def clips_key(content: bytes, options: tuple[object, ...], config: AudioXConfig) -> str:
    """A hash of what clips depend on.

    Args:
        content: of the file that lists them, if there is one.
        options: settings of the source.
        config: sizes and rates of the model that reads the clips.
    """
    video = config.video
    sizes = config.latent, video.fps, video.frames, video.clip.image, video.sync
    depends = repr((options, sizes, config.text_tokens, config.audio_tokens))
    return blake2b(content + depends.encode(), digest_size=8).hexdigest()


def clip_range(source: Source, data: DataConfig) -> range:
    """The clips of a source that a run uses. Raises SettingsError if there are none."""
    length, first = len(source), data.first
    for what, count in source.notes.items():
        logger.warning("%s: %s %d times", data.source, what, count)
    last = min(first + data.clips, length) if data.clips else length
    if first >= last:
        raise SettingsError(
            f"{data.source} contains {length:,} clips and none from number {first:,}: use a "
            "smaller data.first, or another manifest."
        )
    return range(first, last)


def pad_crop(audio: Tensor, samples: int, offset: int = 0) -> Tensor:
    """`samples` of `c n` from `offset` on, padded with zeros at the end."""
    piece = audio[:, offset : offset + samples]
    return pad(piece, (0, samples - piece.shape[-1]))
