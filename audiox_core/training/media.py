"""Training clips out of a folder of media files: pictures at true times, sound, captions.

Axes: `c` audio channels, `n` samples, `f` video frames, `h w` pixels.
"""

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path

from torch import Tensor

from ..config import AudioXConfig
from ..errors import AudioXError, MediaError, SettingsError
from ..media.audio import read_audio
from ..media.folder import MEDIA_SUFFIXES, media_files
from ..media.probe import MediaInfo, probe_media
from ..media.video import frame_grids, probe_video, read_grids
from .clips import InvalidItem, InvalidItemError, TrainingClip, clips_key, pad_crop
from .config import DataConfig
from .manifest import LATEST_START, Item, Manifest, read

SILENCE = 1e-4  # -80 dBFS: there is nothing to learn from a window without a louder sample


@dataclass(frozen=True)
class ManifestData:
    """The data source of `--data MANIFEST.jsonl`, for a model of certain sizes."""

    data: DataConfig
    config: AudioXConfig

    def open(self) -> "ManifestSource":
        """As `DataSource`."""
        if not self.data.source:
            raise SettingsError("No training data: add --data MANIFEST.jsonl, world or effects.")
        path = Path(self.data.source)
        return ManifestSource(path, Path(self.data.media or path.parent), self.config)

    def key(self) -> str:
        """As `DataSource`."""
        path = Path(self.data.source)
        content = path.read_bytes() if path.is_file() else b""
        return clips_key(content, (self.data.source, self.data.media), self.config)


def target_starts(length: int, sample_rate: int, samples: int) -> list[int]:
    """Seconds at which targets start in a sound of `length` samples: every ten of them.

    As in the release, a window of `samples` has to fit, and in a sound of more than 20 seconds
    none starts in the last 15.
    """
    total = length / sample_rate
    return [
        begin
        for begin in range(0, ceil(total), 10)
        if begin * sample_rate + samples <= length and (total <= 20 or total - begin >= 15)
    ] or [0]


class MediaFolder:
    """Files by path or by id, anywhere below a folder."""

    def __init__(self, folder: Path) -> None:
        """Take a folder. Raises SettingsError if it does not exist."""
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise SettingsError(
                f"There is no folder {folder}: choose the folder with the media files."
            )

    def find(self, name: str, start: float | None = None) -> tuple[Path, float | None]:
        """A file by its path below the folder, an absolute path, or the id of its video.

        Files that are called `<id>_<start>` or `<id>_<start:06d>` are clips that were already
        cut out of the video.

        Args:
            name: path or id.
            start: seconds within the video.

        Returns:
            The file, and where in it `start` is.

        Raises:
            MediaError: no such file.
        """
        # macOS decomposes accents into two characters
        for spelling in (name, _composed(name), unicodedata.normalize("NFD", name)):
            with suppress(OSError, ValueError):  # a name that no file can have
                if (found := self.folder / spelling).is_file():
                    return found, start
        if Path(name).suffix.lower() in MEDIA_SUFFIXES:
            raise MediaError(f"there is no file {self.folder / name}")
        cut = [] if start is None else [f"{name}_{start:g}", f"{name}_{int(start):06d}"]
        for stem, offset in (*((stem, 0.0) for stem in cut), (name, start)):
            if (found := self._stems.get(_composed(stem))) is not None:
                return found, offset
        tried = ", ".join(f"{stem}.*" for stem in (*cut, name))
        raise MediaError(f"no media file below {self.folder} has the name {tried}")

    @cached_property
    def _stems(self) -> dict[str, Path]:
        """Files by their names without suffix; videos before sounds."""
        # in this order if one id has several files
        order = {suffix: place for place, suffix in enumerate(MEDIA_SUFFIXES)}
        files = sorted(
            media_files(self.folder, MEDIA_SUFFIXES), key=lambda path: order[path.suffix.lower()]
        )
        return {_composed(path.stem): path for path in reversed(files)}  # the first one wins


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


class ManifestSource:
    """The targets of a manifest as a `Source`, in the order of its lines.

    An item without a start has as many targets as fit into its file; an invalid line counts as a
    target that cannot be used.
    """

    def __init__(
        self,
        manifest: Path | Manifest,
        media_folder: Path,
        config: AudioXConfig,
        on_item: Callable[[], object] = lambda: None,
    ) -> None:
        """Read the manifest, and the length of the files of items without a start.

        Args:
            manifest: the manifest, or its path.
            media_folder: that its paths and ids refer to.
            config: of the model: rates, sizes, window.
            on_item: called after each line.

        Raises:
            SettingsError: no such manifest or folder, or no line can be used.
        """
        listed = manifest if isinstance(manifest, Manifest) else read(manifest)
        self.folder, self.config = MediaFolder(media_folder), config
        self._samples = config.latent.window * config.latent.hop_length
        self._conditioned_seconds = config.latent.conditioned_seconds
        self.notes = {"captions cut": listed.cut_captions} if listed.cut_captions else {}
        self.targets: list[tuple[Item, float | None] | InvalidItem] = []  # start in the file
        for line in sorted((*listed.items, *listed.invalid), key=lambda line: line.line):
            self.targets += [line] if isinstance(line, InvalidItem) else self._targets(line)
            on_item()

    def __len__(self) -> int:
        return len(self.targets)

    def clip(self, index: int) -> TrainingClip:
        """A clip. Raises InvalidItemError for an item that cannot be used."""
        target = self.targets[index]
        if isinstance(target, InvalidItem):
            raise InvalidItemError(target)
        item, start = target
        if "text" in item.needs and not item.caption.strip():
            raise _invalid(item, "no caption", f"{item.task} needs a caption")
        path, begin, contents = self._open(item, item.path or item.id, item.start)
        start = begin if start is None else start
        audio = self._sound(item, path, contents, start)
        frames, sync = self._pictures(item, path, contents, start)
        prompt = self._prompt(item, path, audio, start)
        caption = item.caption if "text" in item.given else ""
        if not caption.strip() and frames is None and prompt is None:
            raise _invalid(item, "nothing given", "it has no caption, picture or audio prompt")
        return TrainingClip(audio, caption, frames, sync, prompt)

    def _targets(self, item: Item) -> list[tuple[Item, float | None]]:
        """One for an item with a start, else those that its file has room for."""
        if item.start is not None:
            return [(item, None)]
        try:
            path, _ = self.folder.find(item.path or item.id)
            contents = probe_media(path)
        except AudioXError:
            contents = None
        if contents is None or sound_problem(contents):  # raised when the clip is asked for
            return [(item, 0.0)]
        rate = self.config.latent.sample_rate
        starts = target_starts(round(contents.seconds * rate), rate, self._samples)
        if "audio" in item.needs and item.is_music:
            starts = [start for start in starts if start >= self._conditioned_seconds] or starts[:1]
        return [(item, float(start)) for start in starts]

    def _open(self, item: Item, name: str, start: float | None) -> tuple[Path, float, MediaInfo]:
        """A file of an item, where in it `start` is, and what it contains."""
        with _errors_of(item, "missing media"):
            path, begin = self.folder.find(name, start)
        with _errors_of(item, "unreadable media"):
            return path, begin or 0.0, probe_media(path)

    def _sound(self, item: Item, path: Path, contents: MediaInfo, start: float) -> Tensor:
        if problem := sound_problem(contents):
            raise _invalid(item, *problem)
        audio = self._read(item, path, start, self.config.latent.window_seconds, self._samples)
        if audio.abs().max() < SILENCE:
            raise _invalid(item, "silent", f"{path.name} is silent from {start:g} s on")
        return audio

    def _pictures(
        self, item: Item, path: Path, contents: MediaInfo, start: float
    ) -> tuple[Tensor | None, Tensor | None]:
        """Frames `f 3 h w` for CLIP and for Synchformer; None without a picture, or a model."""
        if "video" not in item.given:
            return None, None
        if item.video_path:
            path, start, contents = self._open(item, item.video_path, start)
        with _errors_of(item, "unreadable picture"):
            if contents.has_picture and start < probe_video(path).seconds:
                frames, *sync = read_grids(path, frame_grids(self.config.video), start=start)
                return frames, sync[0] if sync else None
        if "video" in item.needs:
            message = f"{item.task} needs a video, but {path.name} has none at {start:g} s"
            raise _invalid(item, "no picture", message)
        return None, None

    def _prompt(self, item: Item, path: Path, audio: Tensor, start: float) -> Tensor | None:
        """Music continues the seconds before it; a sound is its own prompt (the paper's tasks).

        Returns:
            `2 n`, as long as the conditioned seconds; None if the task has none, or nothing comes
            before.
        """
        if "audio" not in item.given:
            return None
        seconds = self._conditioned_seconds
        samples = self.config.latent.samples(seconds)
        if not item.is_music:
            return pad_crop(audio, samples).clone()
        if start < seconds:
            if "audio" in item.needs:
                message = f"{item.task} needs {seconds:g} s of audio before {start:g} s"
                raise _invalid(item, "no prompt", message)
            return None
        return self._read(item, path, start - seconds, seconds, samples)

    def _read(self, item: Item, path: Path, start: float, seconds: float, samples: int) -> Tensor:
        """A piece of a sound, `2 n` in -1..1, padded with zeros at the end."""
        rate = self.config.latent.sample_rate
        with _errors_of(item, "unreadable sound"):
            audio = read_audio(path, sample_rate=rate, start=start, seconds=seconds)
            return pad_crop(audio.clamp(-1, 1), samples)


def sound_problem(contents: MediaInfo) -> tuple[str, str] | None:
    """Why the sound of a file cannot be a target: a reason and a sentence; None if it can."""
    if not contents.has_sound:
        return "no sound", "The file has no audio track, so it cannot be a training target."
    if not 0 < contents.seconds <= LATEST_START:
        reason = "empty sound" if contents.seconds <= 0 else "unreadable media"
        return reason, f"The header says that its audio has {contents.seconds:g} s."
    return None


def _invalid(item: Item, reason: str, message: str) -> InvalidItemError:
    return InvalidItemError(InvalidItem(item.name, item.line, reason, f"{message.rstrip('.')}."))


@contextmanager
def _errors_of(item: Item, reason: str) -> Iterator[None]:
    """Turn errors in the block into errors of the item."""
    try:
        yield
    except (AudioXError, OSError) as error:
        raise _invalid(item, reason, str(error)) from error
