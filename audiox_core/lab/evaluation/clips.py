"""Scenes and phrases that no training run has seen, as the files that a user would bring."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from torch import Tensor

from ...media.audio import write_audio
from ..world import Phrase
from ..world.rendered_scene import RenderedScene
from .catalogue import SYNTHETIC, Catalogue

HELD_OUT = 2**50  # seeds from here on: a source of training draws smaller ones
SECONDS = 10.0
PIXELS = 96
CLOCK = 1_000  # ticks a second of the written videos
# that browsers play, if PyAV was built with it
PLAYABLE = "libx264" if "libx264" in av.codecs_available else "mpeg4"


def held_out_scene(
    number: int, label: str | None = None, catalogue: Catalogue = SYNTHETIC
) -> RenderedScene:
    """A scene of one source; its class goes round the classes where none is given."""
    label = label or catalogue.labels[number % len(catalogue.labels)]
    return catalogue.make_scene(HELD_OUT + number, label, SECONDS)


def held_out_phrase(number: int, seconds: float, catalogue: Catalogue = SYNTHETIC) -> Phrase:
    """A phrase of music."""
    return catalogue.make_phrase(HELD_OUT + number, seconds)


def even_times(fps: float) -> list[float]:
    """Times of the frames of a clip of a constant rate."""
    return [frame / fps for frame in range(round(SECONDS * fps))]


def uneven_times(number: int) -> list[float]:
    """Times of the frames of a clip whose rate changes all the time, 12 to 30 a second."""
    gaps = np.random.default_rng([number, 7]).uniform(1 / 30, 1 / 12, round(30 * SECONDS))
    times = np.concatenate([[0.0], np.cumsum(gaps)])
    return [round(float(time), 3) for time in times if time < SECONDS]


def write_scene(
    path: Path,
    item: RenderedScene,
    times: Sequence[float],
    pixels: int = PIXELS,
    codec: str = "mpeg4",
) -> Path:
    """The pictures of a scene as a video without sound; the last one lasts to the end."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=CLOCK)
        stream.width = stream.height = pixels
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        stream.codec_context.time_base = Fraction(1, CLOCK)
        last = [*times, SECONDS - 1 / CLOCK] if times[-1] < SECONDS - 0.1 else times
        frames = item.frames(last, pixels).permute(0, 2, 3, 1).contiguous().numpy()
        for time, picture in zip(last, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = round(time * CLOCK), Fraction(1, CLOCK)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path, audio: Tensor, sample_rate: int) -> Path:
    """A sound `2 n` as a file."""
    write_audio(path, audio, sample_rate)
    return path
