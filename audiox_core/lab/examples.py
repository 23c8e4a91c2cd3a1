"""The example clips of `media.examples`: scenes with their sound, and a tune that is seen, too."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from torch import Tensor

from ..media.audio_frames import audio_frames
from ..media.examples import PICTURES
from ..media.files import replacing
from .evaluation.clips import HELD_OUT, PLAYABLE, SECONDS, held_out_phrase
from .world import Scene, scene
from .world.motion import VISIBLE, Event

PIXELS, FPS, RATE = 384, 24, 44_100  # a side, Hz
QUALITY, BIT_RATE = "24", 112_000  # crf of the picture, bits a second of the sound
MUSIC_SECONDS = 14.0
SCENES = {"ball": ("ball", 9), "car": ("engine", 4), "rain": ("rain", 0)}  # class, number
TUNE, BARS = 30, 3  # numbers of the phrase, and of the scene with its instrument


@dataclass(frozen=True)
class Example:
    """A clip: what is seen, and what is heard."""

    scene: Scene
    sound: Callable[[int], Tensor]  # Hz -> `2 n`


def example(name: str) -> Example:
    """An example by its name in `PICTURES`; it is in no clip of the training."""
    if name in SCENES:
        label, number = SCENES[name]
        item = scene(HELD_OUT + number, label, SECONDS)
        return Example(item, item.audio)
    tune = held_out_phrase(TUNE, MUSIC_SECONDS)
    melody = [note for note in tune.notes if note.voice == 0]
    keys = sorted({note.key for note in melody})
    slots = np.linspace(-1, 1, 5)  # the bars of the instrument
    events = tuple(
        Event(note.start, (note.start, note.start + VISIBLE), float(slots[5 * place // len(keys)]))
        for note in melody
        for place in [keys.index(note.key)]
    )
    bars = scene(HELD_OUT + BARS, "marimba", SECONDS)
    return Example(replace(bars, events=events, seconds=MUSIC_SECONDS), tune.audio)


def render_examples(folder: Path, on_clip: Callable[[], object] = lambda: None) -> list[Path]:
    """Write every example as `<name>.mp4`.

    Args:
        folder: that exists.
        on_clip: called after each clip.

    Returns:
        The files.

    Raises:
        SettingsError: music cannot be rendered without its packages.
        MediaError: a file cannot be written.
    """
    paths = []
    for name in PICTURES:
        path = folder / f"{name}.mp4"
        with replacing(path) as temporary:
            _write(temporary, example(name))
        paths.append(path)
        on_clip()
    return paths


def _write(path: Path, item: Example) -> None:
    """One clip with its sound, as browsers play it."""
    frames = round(item.scene.seconds * FPS)
    pictures = item.scene.frames([k / FPS for k in range(frames)], PIXELS)
    sound = (item.sound(RATE).clamp(-1, 1)).numpy()
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        video = container.add_stream(PLAYABLE, rate=FPS, options={"crf": QUALITY})
        video.width = video.height = PIXELS
        video.pix_fmt, video.codec_context.time_base = "yuv420p", Fraction(1, FPS)
        audio = container.add_stream("aac", rate=RATE, layout="stereo", bit_rate=BIT_RATE)
        for k, picture in enumerate(pictures.permute(0, 2, 3, 1).contiguous().numpy()):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = k, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for frame in audio_frames(sound, RATE, "fltp", 0):
            container.mux(audio.encode(frame))
        container.mux(audio.encode())
