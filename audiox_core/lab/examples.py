"""The example clips of `media.examples`: scenes with their sound, and a tune that is seen, too."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from torch import Tensor

from ..media.audio_frames import audio_frames
from ..media.examples import CLIPS
from ..media.files import replacing
from .effects.scenes import EffectScene, Part, effect_scene
from .evaluation.clips import HELD_OUT, PLAYABLE
from .world import Scene, phrase, scene
from .world.motion import VISIBLE, Event

PIXELS, FPS, RATE = 384, 24, 44_100  # a side, Hz
QUALITY, BIT_RATE = "24", 112_000  # crf of the picture, bits a second of the sound
SCENES = {"ball": ("ball", 8), "car": ("engine", 22), "rain": ("rain", 9)}  # class, number
YARD = {  # events, dBFS, pan
    "dog": (2, -17.0, -0.9),
    "door": (1, -16.0, 0.0),
    "thunder": (1, -14.0, 0.9),
}
BACKGROUND = 4  # number of the yard
TUNE, BARS = 30, 3  # numbers of the phrase, and of the scene with its instrument


@dataclass(frozen=True)
class Example:
    """A clip: what is seen, and what is heard."""

    scene: Scene | EffectScene
    sound: Callable[[int], Tensor]  # Hz -> `2 n`


def example(name: str) -> Example:
    """An example by its name in `CLIPS`; it is in no clip of the training."""
    if name == "music":
        return _tune()
    if name == "yard":
        shown = _yard()
    else:
        label, number = SCENES[name]
        shown = effect_scene(HELD_OUT + number, label, CLIPS[name].seconds)
    return Example(shown, shown.audio)


def _yard() -> EffectScene:
    """Three sources side by side, one after the other."""
    clip, parts, done = CLIPS["yard"], [], 0
    for label, (count, level_db, pan) in YARD.items():
        events = tuple(_event(time, pan) for time in clip.events[done : done + count])
        parts.append(Part(label, events, level_db=level_db))
        done += count
    caption = ", then ".join([*(text for _, _, text in clip.prompts), clip.prompt])
    return EffectScene(caption, clip.seconds, HELD_OUT + BACKGROUND, tuple(parts))


def _tune() -> Example:
    """A phrase of music, and the bars of an instrument that its melody strikes."""
    seconds = CLIPS["music"].seconds
    tune = phrase(HELD_OUT + TUNE, seconds, mellow=True)
    melody = [note for note in tune.notes if note.voice == 0]
    keys = sorted({note.key for note in melody})
    slots = np.linspace(-1, 1, 5)  # the bars of the instrument
    events = tuple(
        _event(note.start, float(slots[5 * keys.index(note.key) // len(keys)])) for note in melody
    )
    bars = scene(HELD_OUT + BARS, "marimba")
    return Example(replace(bars, events=events, seconds=seconds), tune.audio)


def _event(time: float, pan: float) -> Event:
    return Event(time, (time, time + VISIBLE), pan)


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
    for name in CLIPS:
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
