"""Sounds as a picture: waveform and spectrogram of each, below frames of a video.

Drawn with Pillow, which every ComfyUI has. Axes: `f` frames, `h w` pixels, `c` channels,
`n` samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .motion import Changes
from .spectrogram import RANGE_DB, coloured, frequency_edges, log_spectrogram

WIDTH = 960  # pixels of the picture
LEFT, RIGHT = 62, 66  # margins with the axes of frequency and of level
INNER = WIDTH - LEFT - RIGHT
WAVEFORM, SPECTROGRAM, GAP, AXIS = 64, 200, 6, 44  # heights
LEAST_PEAK = 1e-3  # of the loudest sample: quieter sounds are not drawn higher
TEXT, SMALL = 20, 16  # sizes of letters
PAPER, INK, LINE = (24, 24, 28), (225, 225, 230), (95, 95, 105)
WAVE, CHOSEN, CUT, PEAK, ONSET = (
    (110, 190, 255), (255, 196, 60), (255, 255, 255), (120, 230, 255), (130, 255, 130),
)  # fmt: skip
FREQUENCIES = {50: "50", 200: "200", 1_000: "1k", 5_000: "5k", 20_000: "20k"}  # Hz
LEAST_TICK = 80  # pixels between two seconds
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)  # s between two ticks


@dataclass(frozen=True)
class Track:
    """One sound of a plot."""

    waveform: Tensor  # `c n`
    onsets: Sequence[float] = ()  # s
    label: str = ""
    chosen: bool = False


@dataclass(frozen=True)
class Scene:
    """What is seen while the sounds play."""

    frames: Tensor | None = None  # `f 3 h h` uint8, evenly spaced over the time of the sounds
    changes: Changes = field(default_factory=Changes)


def plot_sounds(
    tracks: Sequence[Track], sample_rate: int, scene: Scene | None = None, seconds: float = 0.0
) -> NDArray:
    """Draw sounds one below another, on one axis of time and one scale of level.

    Waveforms are drawn relative to the loudest sample of all.

    Args:
        tracks: the sounds; one alone is drawn higher.
        sample_rate: Hz, of all.
        scene: frames above the sounds, and lines at the changes of the picture.
        seconds: length of the axis, if the picture is longer than the sounds.

    Returns:
        `h w 3` uint8, `WIDTH` pixels wide.
    """
    scene = scene or Scene()
    seconds = max(seconds, *(track.waveform.shape[-1] / sample_rate for track in tracks))
    strip = 0 if scene.frames is None else INNER // len(scene.frames)
    high = SPECTROGRAM if len(tracks) == 1 else SPECTROGRAM // 2
    top, each = GAP + strip + (GAP if strip else 0), WAVEFORM + high + 2 * GAP
    sheet = _Sheet(seconds, top + each * len(tracks) + AXIS)
    if scene.frames is not None:
        sheet.frames(scene.frames, GAP, strip)
    levels = [_levels(track, sample_rate, high, seconds) for track in tracks]
    peak = max(LEAST_PEAK, *(track.waveform.abs().max().item() for track in tracks))
    loudest = max(float(level.max()) for level in levels)
    loudest = min(0, 10 * ceil(loudest / 10)) if loudest > -RANGE_DB else 0
    for number, (track, level) in enumerate(zip(tracks, levels, strict=True)):
        y = top + each * number
        sheet.waveform(track, sample_rate, peak, y)
        sheet.spectrogram(level, loudest, sample_rate, y + WAVEFORM, high)
        sheet.label(track, y, WAVEFORM + high)
    bottom = top + each * len(tracks) - 2 * GAP
    sheet.changes(scene.changes, top, bottom)
    sheet.seconds_axis(bottom)
    return np.asarray(sheet.image)


def _levels(track: Track, sample_rate: int, height: int, seconds: float) -> NDArray:
    length = track.waveform.shape[-1] / sample_rate
    width = max(1, min(INNER, round(INNER * length / seconds)))
    return log_spectrogram(track.waveform, sample_rate, width, height).flip(0).cpu().numpy()


class _Sheet:
    """The picture that is drawn."""

    def __init__(self, seconds: float, height: int) -> None:
        self.seconds = seconds
        self.image = Image.new("RGB", (WIDTH, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.fonts = {size: ImageFont.load_default(size) for size in (TEXT, SMALL)}

    def x(self, second: float) -> float:
        """The column of a time."""
        return LEFT + INNER * second / self.seconds

    def text(
        self, at: tuple[float, float], text: str, size: int, anchor: str, **how: object
    ) -> None:
        """Draw one line of text."""
        self.draw.text(at, text, how.get("fill", INK), self.fonts[size], anchor=anchor)  # type: ignore[arg-type]

    def frames(self, frames: Tensor, y: int, size: int) -> None:
        """Draw the frames side by side."""
        for k, frame in enumerate(frames):
            picture = Image.fromarray(frame.permute(1, 2, 0).contiguous().cpu().numpy())
            self.image.paste(picture.resize((size, size)), (LEFT + size * k, y))

    def waveform(self, track: Track, sample_rate: int, peak: float, y: int) -> None:
        """Draw the range of the samples in each column, up to a peak, and marks at the onsets."""
        samples = track.waveform.detach().float().cpu().numpy() / peak
        length = samples.shape[-1]
        width = max(1, min(length, round(self.x(length / sample_rate) - LEFT)))
        edges = np.linspace(0, length, width + 1).astype(int)[:-1]
        low = np.minimum.reduceat(samples.min(axis=0), edges).clip(-1, 1)
        high = np.maximum.reduceat(samples.max(axis=0), edges).clip(-1, 1)
        middle, half = y + WAVEFORM / 2, WAVEFORM / 2 - 2
        self.draw.line([(LEFT, middle), (LEFT + INNER, middle)], LINE)
        for column in range(width):
            ends = [(LEFT + column, middle - half * level[column]) for level in (low, high)]
            self.draw.line(ends, WAVE)
        for onset in track.onsets:
            x = self.x(onset)
            self.draw.polygon([(x - 5, y), (x + 5, y), (x, y + 9)], ONSET)

    def spectrogram(self, levels: NDArray, loudest: float, rate: int, y: int, height: int) -> None:
        """Draw levels in dB, row 0 highest, with the axes of frequency and of level."""
        pixels = coloured((levels - loudest) / RANGE_DB + 1)
        self.image.paste(Image.fromarray(pixels), (LEFT, y))
        edges = frequency_edges(height, rate).numpy()
        for hertz, name in FREQUENCIES.items():
            if edges[0] <= hertz <= edges[-1] * 1.001:
                row = y + height * (1 - np.log(hertz / edges[0]) / np.log(edges[-1] / edges[0]))
                self.draw.line([(LEFT - 5, row), (LEFT, row)], INK)
                place = min(max(row, y + SMALL / 2), y + height - SMALL / 2)
                self.text((LEFT - 8, place), name, SMALL, "rm")
        bar = coloured(np.linspace(1, 0, height)[:, None].repeat(10, axis=1))
        self.image.paste(Image.fromarray(bar), (LEFT + INNER + 8, y))
        for share in (0.0, 0.5, 1.0):
            place = min(max(y + height * share, y + SMALL / 2), y + height - SMALL / 2)
            self.text((LEFT + INNER + 22, place), f"{loudest - RANGE_DB * share:g}", SMALL, "lm")

    def label(self, track: Track, y: int, height: int) -> None:
        """Write the name of a sound in its corner; the chosen one has a frame."""
        if track.label:
            font = self.fonts[TEXT]
            box = self.draw.textbbox((LEFT + 8, y + 6), track.label, font, anchor="lt")
            self.draw.rectangle([box[0] - 6, box[1] - 5, box[2] + 6, box[3] + 5], PAPER)
            colour = CHOSEN if track.chosen else INK
            self.text((LEFT + 8, y + 6), track.label, TEXT, "lt", fill=colour)
        if track.chosen:
            box = [LEFT - 2, y - 2, LEFT + INNER + 1, y + height + 1]
            self.draw.rectangle(box, outline=CHOSEN, width=3)

    def changes(self, changes: Changes, top: int, bottom: int) -> None:
        """Draw cuts as lines, and peaks of motion as dashed ones."""
        for cut in changes.cuts:
            self.draw.line([(self.x(cut), top), (self.x(cut), bottom)], CUT, 2)
        for peak in changes.peaks:
            for y in range(top, bottom, 12):
                self.draw.line([(self.x(peak), y), (self.x(peak), min(y + 6, bottom))], PEAK, 2)

    def seconds_axis(self, y: int) -> None:
        """Draw the axis of time and name the units of all axes."""
        step = next((s for s in STEPS if INNER * s / self.seconds >= LEAST_TICK), STEPS[-1])
        for tick in range(int(self.seconds / step + 0.02) + 1):
            x = self.x(tick * step)
            self.draw.line([(x, y), (x, y + 6)], INK)
            self.text((x, y + 10), f"{tick * step:g}", SMALL, "mt")
        self.text((LEFT - 8, y + 10), "Hz", SMALL, "rt")
        self.text((LEFT + INNER + 22, y + 10), "s / dB", SMALL, "lt")
