"""What AudioX Takes and AudioX Preview show: players, a plot, and lines of text."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4
from weakref import WeakKeyDictionary

import folder_paths
import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ...audiox_core.analysis.motion import Changes, nearest_onsets, picture_changes, read_frames
from ...audiox_core.analysis.onsets import onset_times
from ...audiox_core.analysis.plot import Scene, Track, plot_sounds
from ...audiox_core.errors import SettingsError, check_number, plural
from ...audiox_core.limits import MAX_START
from ...audiox_core.media.loudness import measure_loudness
from .media import audio_of, first_of_batch, rate_of, waveform_of
from .video import clip_of_video

FRAMES, PIXELS = 10, 128  # of a video above the plot
NEAR = 0.5  # s from a change of the picture to a sound that may belong to it
MOST_LINES = 12
NODES_KEPT = 64  # whose last takes are known

_scenes: WeakKeyDictionary[Any, dict[tuple[float, float], Scene]] = WeakKeyDictionary()


class Known(NamedTuple):
    """What is known of the takes that a node had last."""

    content: bytes  # a hash of the samples
    shape: tuple[int, ...]
    files: list  # for the players
    levels: list[str]
    onsets: list[list[float]]


_last: OrderedDict[str, Known] = OrderedDict()  # by node


class Sounds(NamedTuple):
    """A batch of sounds, ready to be measured and drawn."""

    waveforms: Tensor  # `b 2 n`
    rate: int  # Hz

    @property
    def seconds(self) -> float:
        """Length of each."""
        return self.waveforms.shape[-1] / self.rate


def preview(
    audio: Mapping[str, Any], video: Any, start: float, save_as: str, node: Any
) -> tuple[Tensor, dict[str, list]]:
    """The plot of the first sound as IMAGE, and what the node shows.

    Args:
        audio: AUDIO.
        video: VIDEO or None.
        start: second of the video at which the audio begins.
        save_as: beginning of a name in the output folder; empty: the sound is not kept.
        node: the class of the node, whose workflow is saved in the file.
    """
    sounds = _sounds(audio, [0])
    scene = _scene(video, start, sounds.seconds)
    track = Track(sounds.waveforms[0], onset_times(sounds.waveforms[0], sounds.rate))
    image = _image([track], sounds, scene)
    lines = [f"{_levels(sounds, 0)}, {sounds.seconds:.2f} s", *_offsets(scene.changes, track)]
    if save_as:
        files = _kept(sounds, save_as, node)
        lines.append(
            "saved as " + "/".join(filter(None, map(files[0].get, ("subfolder", "filename"))))
        )
    else:
        files = _saved(sounds)
    note = first_of_batch(audio)
    return image, _shown(image, files, [*lines, note] if note else lines)


def takes(
    audio: Mapping[str, Any], choose: int, video: Any, start: float, node: str
) -> tuple[dict[str, Any], int, dict[str, list]]:
    """The chosen sound of a batch as AUDIO, its index from 0, and what the node shows.

    Args:
        audio: AUDIO.
        choose: number of the take, from 1.
        video: VIDEO or None.
        start: second of the video at which the audio begins.
        node: id of the node, which says when its takes are new ones.
    """
    count = len(audio["waveform"]) if rate_of(audio) else 0
    if not count:
        raise SettingsError("The batch has no sound: set batch_size of AudioX Empty Latent to 1.")
    check_number("choose", choose, 1, count, ", the number of takes in the batch", whole=True)
    sounds = _sounds(audio, range(count))
    scene = _scene(video, start, sounds.seconds)
    known, are_new = _known(node, sounds)
    tracks = [
        Track(waveform, onsets, f"{k + 1}", k == choose - 1)
        for k, (waveform, onsets) in enumerate(zip(sounds.waveforms, known.onsets, strict=True))
    ]
    about = plural(count, "new take" if are_new else "take")
    lines = [f"{about}: take {choose} is used"]
    for track, levels in zip(tracks, known.levels, strict=True):
        lines.append(f"{track.label}: {levels}{_agreement(scene.changes, track)}")
    image = _image(tracks, sounds, scene)
    chosen = {**audio, "waveform": audio["waveform"][choose - 1 : choose]}
    return chosen, choose - 1, _shown(image, known.files, lines)


def _sounds(audio: Mapping[str, Any], which: Sequence[int]) -> Sounds:
    rate = rate_of(audio)
    items = [{**audio, "waveform": audio["waveform"][k : k + 1]} for k in which]
    return Sounds(torch.stack([waveform_of(item, rate) for item in items]), rate)


def _scene(video: Any, start: float, seconds: float) -> Scene:
    """The frames and changes of the part of a VIDEO that the sound belongs to."""
    check_number("start", start, 0, MAX_START, unit=" s")
    if video is None:
        return Scene()
    try:
        kept = _scenes.setdefault(video, {})
    except TypeError:  # a VIDEO of another pack that cannot be a key
        kept = {}
    if (start, seconds) not in kept:
        kept.clear()
        kept[start, seconds] = _read_scene(video, start, seconds)
    return kept[start, seconds]


def _read_scene(video: Any, start: float, seconds: float) -> Scene:
    clip = clip_of_video(video)
    left = clip.seconds - start
    if left <= 0:
        raise SettingsError(
            f"start is {start:g} s, but the video is {clip.seconds:.2f} s long: use the start "
            "of AudioX Encode Video."
        )
    small, shown = read_frames(clip, start, seconds, FRAMES, PIXELS)
    length = min(seconds, left)
    return Scene(shown, picture_changes(small[: max(2, round(length * len(small) / seconds))]))


def _image(tracks: Sequence[Track], sounds: Sounds, scene: Scene) -> Tensor:
    """The plot as IMAGE."""
    return torch.from_numpy(plot_sounds(tracks, sounds.rate, scene).copy()).float()[None] / 255


def _levels(sounds: Sounds, k: int) -> str:
    return measure_loudness(sounds.waveforms[k], sounds.rate).describe()


def _agreement(changes: Changes, track: Track) -> str:
    """How many changes of the picture have a sound, and how far from it; empty without any."""
    nearest = nearest_onsets(changes.all, track.onsets)
    if not nearest:
        return ""
    near = [abs(offset) for offset in nearest if offset is not None and abs(offset) <= NEAR]
    apart = f", {1000 * sum(near) / len(near):.0f} ms apart" if near else ""
    return f"; sounds at {len(near)} of {len(nearest)} picture changes{apart}"


def _offsets(changes: Changes, track: Track) -> list[str]:
    """A line for each change of the picture with its distance to the nearest sound."""
    nearest = nearest_onsets(changes.all, track.onsets)
    lines = [
        f"{'cut' if time in changes.cuts else 'motion'} at {time:.2f} s: "
        + (
            f"sound {1000 * offset:+.0f} ms"
            if offset is not None and abs(offset) <= NEAR
            else f"no sound begins within {NEAR:g} s"
        )
        for time, offset in zip(changes.all, nearest, strict=True)
    ]
    more = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], f"and {more} more"] if more > 0 else lines


def _known(node: str, sounds: Sounds) -> tuple[Known, bool]:
    """What is known of a node's takes, and whether they are new: of the same size, but others."""
    shape = (*sounds.waveforms.shape, sounds.rate)
    content = hashlib.blake2b(sounds.waveforms.contiguous().numpy().data).digest()
    before = _last.pop(node, None)
    if before is None or before.content != content or not _exist(before.files):
        count = range(len(sounds.waveforms))
        onsets = [onset_times(waveform, sounds.rate) for waveform in sounds.waveforms]
        levels = [_levels(sounds, k) for k in count]
        known = Known(content, shape, _saved(sounds), levels, onsets)
    else:
        known = before
    _last[node] = known
    while len(_last) > NODES_KEPT:
        _last.popitem(last=False)
    same_size = before is not None and before.shape == shape
    return known, same_size and before.content != content


def _exist(files: Sequence[Mapping[str, str]]) -> bool:
    folder = Path(folder_paths.get_temp_directory())
    return all((folder / file["subfolder"] / file["filename"]).is_file() for file in files)


def _saved(sounds: Sounds) -> list:
    audio = audio_of(sounds.waveforms, sounds.rate)
    name = f"AudioX_{uuid4().hex[:8]}"
    return ui.AudioSaveHelper.save_audio(audio, name, io.FolderType.temp, cls=None)


def _kept(sounds: Sounds, prefix: str, node: Any) -> list:
    """Save in the output folder, where `prefix` must stay."""
    folder = Path(folder_paths.get_output_directory()).resolve()
    if not (folder / prefix).resolve().is_relative_to(folder):
        raise SettingsError(
            f"save_as is {prefix}, which is outside the output folder: use a name such as "
            "audio/AudioX."
        )
    audio = audio_of(sounds.waveforms, sounds.rate)
    return ui.AudioSaveHelper.save_audio(audio, prefix, io.FolderType.output, cls=node)


def _shown(image: Tensor, files: list, lines: Sequence[str]) -> dict[str, list]:
    """The output of a node for the front end: its own pictures, our players and text."""
    pictures = ui.ImageSaveHelper.save_images(
        image, f"AudioX_{uuid4().hex[:8]}", io.FolderType.temp, cls=None, compress_level=1
    )
    aspect = image.shape[1] / image.shape[2]
    return {
        "images": pictures,
        "audiox_players": files,
        "audiox_aspect": [aspect],
        "text": ["\n".join(lines)],
    }
