"""Clips out of a folder of media files, as a list tells: pictures at true times, sound, words.

Axes: `n` samples, `f` video frames, `h w` pixels.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..config import AudioXConfig
from ..errors import AudioXError
from ..media.audio import read_audio
from ..media.probe import MediaInfo, probe_media
from ..media.video import frame_grids, read_grids
from .clips import Clip
from .crops import pad_crop, target_starts
from .invalid_items import InvalidItem, InvalidItemError
from .manifest import Item, Manifest, read
from .media_folder import MediaFolder

SILENCE = 1e-4  # -80 dBFS: a window without a louder sample teaches nothing but silence


@dataclass(frozen=True)
class Target:
    """One window of an item."""

    item: Item
    start: float | None  # seconds within the item's file; None: it has to be looked up


class ManifestSource:
    """A `Source` of the targets of a list, in the order of its lines; a broken line is one, too.

    An item without a start has as many targets as its file has room for.
    """

    def __init__(
        self, manifest: Path | Manifest, media_folder: Path, config: AudioXConfig,
        on_item: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """Read the list, and how long the files without a start are.

        Args:
            manifest: the list, or where it lies.
            media_folder: that its paths and ids mean.
            config: of the model: rates, sizes, window.
            on_item: called after each line.

        Raises:
            SettingsError: no such list or folder, or no line can be used.
        """
        listed = manifest if isinstance(manifest, Manifest) else read(manifest)
        self.folder = MediaFolder(media_folder)
        self.config = config
        self.notes = {"captions cut": listed.cut_captions} if listed.cut_captions else {}
        self.targets: list[Target | InvalidItem] = []
        for line in sorted((*listed.items, *listed.broken), key=lambda line: line.line):
            self.targets += [line] if isinstance(line, InvalidItem) else self._targets(line)
            on_item()

    def __len__(self) -> int:
        return len(self.targets)

    def clip(self, index: int) -> Clip:
        """A clip. Raises InvalidItemError for an item that cannot be used."""
        target = self.targets[index]
        if isinstance(target, InvalidItem):
            raise InvalidItemError(target)
        item = target.item
        if "text" in item.needs and not item.caption.strip():
            raise broken(item, "no caption", f"{item.task} needs one: write it, or change the task")
        with told(item, "missing media"):
            path, start = self._file(item, target.start)
        with told(item, "unreadable media"):
            contents = probe_media(path)
        audio = self._sound(item, path, contents, start)
        looked = self._pictures(item, path, contents, start)
        clip = Clip(
            audio=audio,
            caption=item.caption if "text" in item.given else "",
            frames=looked[0] if looked else None,
            sync=looked[1] if len(looked) > 1 else None,
            prompt=self._prompt(item, path, audio, start),
        )
        if not clip.caption.strip() and clip.frames is None and clip.prompt is None:
            raise broken(item, "nothing given", "it has no words, picture or sound prompt")
        return clip

    def _targets(self, item: Item) -> list[Target]:
        """One for a start that is told, or those that the file has room for."""
        if item.start is not None:
            return [Target(item, None)]
        try:
            path, _ = self._file(item, 0.0)
            seconds = probe_media(path).seconds
        except AudioXError:  # told when the clip is asked for
            return [Target(item, 0.0)]
        rate, samples = self.config.latent.sample_rate, self._samples
        starts = target_starts(round(seconds * rate), rate, samples)
        if "audio" in item.needs and self._is_music(item):
            starts = [start for start in starts if start >= self._conditioned_seconds] or starts[:1]
        return [Target(item, float(start)) for start in starts]

    def _file(self, item: Item, start: float | None) -> tuple[Path, float]:
        """Where an item's sound lies, and from which second on."""
        path, begin = self.folder.find(item.path or item.id, item.start)
        return path, begin if start is None else start

    def _sound(self, item: Item, path: Path, contents: MediaInfo, start: float) -> Tensor:
        if not contents.has_sound:
            raise broken(item, "no sound", f"{path.name} holds no sound: nothing to learn from")
        if not contents.seconds:
            raise broken(item, "empty sound", f"{path.name} has a sound track of no length")
        with told(item, "unreadable sound"):
            audio = self._read(path, start, self.config.latent.window_seconds, self._samples)
        if audio.abs().max() < SILENCE:
            raise broken(item, "silent", f"{path.name} is silent from {start:g} s on")
        return audio

    def _pictures(self, item: Item, path: Path, contents: MediaInfo, start: float) -> list[Tensor]:
        """What a model looks at, `f 3 h w` of each grid; nothing where there is no picture."""
        if "video" not in item.given:
            return []
        if item.video_path:
            with told(item, "missing media"):
                path, start = self.folder.find(item.video_path, start)
            with told(item, "unreadable media"):
                contents = probe_media(path)
        if not contents.has_picture:
            if "video" in item.needs:
                raise broken(item, "no picture", f"{item.task} needs one, {path.name} has none")
            return []
        with told(item, "unreadable picture"):
            return read_grids(path, frame_grids(self.config.video), start=start)

    def _prompt(self, item: Item, path: Path, audio: Tensor, start: float) -> Tensor | None:
        """Music goes on from the seconds before it; a sound is heard itself (specification 10.1).

        Returns:
            `2 n`, as long as the conditioned seconds; None where the task has none, or nothing lies
            before.
        """
        if "audio" not in item.given:
            return None
        seconds = self._conditioned_seconds
        samples = self.config.latent.samples(seconds)
        if not self._is_music(item):
            return pad_crop(audio, samples).clone()
        if start < seconds:
            if "audio" in item.needs:
                message = f"{item.task} needs {seconds:g} s of sound before {start:g} s"
                raise broken(item, "no prompt", message)
            return None
        with told(item, "unreadable sound"):
            return self._read(path, start - seconds, seconds, samples)

    def _read(self, path: Path, start: float, seconds: float, samples: int) -> Tensor:
        """A piece of a sound, `2 n` in -1..1, zeros behind its end."""
        rate = self.config.latent.sample_rate
        audio = read_audio(path, sample_rate=rate, start=start, seconds=seconds)
        return pad_crop(audio.clamp(-1, 1), samples)

    @staticmethod
    def _is_music(item: Item) -> bool:
        return item.task is not None and item.task.target == "music"

    @property
    def _samples(self) -> int:
        return self.config.latent.window * self.config.latent.hop_length

    @property
    def _conditioned_seconds(self) -> float:
        return self.config.latent.conditioned_seconds


def broken(item: Item, reason: str, message: str) -> InvalidItemError:
    """The error for an item."""
    return InvalidItemError(InvalidItem(item.name, item.line, reason, f"{message}."))


@contextmanager
def told(item: Item, reason: str) -> Iterator[None]:
    """What goes wrong in the block is told of the item."""
    try:
        yield
    except (AudioXError, OSError) as error:
        text = str(error).rstrip(".")
        raise broken(item, reason, text) from error
