"""Layers of a mix: gain, time, fades and position of each. Axes: `c` channels, `n` samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, pi, sin, sqrt

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..errors import SettingsError, check_number
from ..limits import CEILING_DB, MAX_GAIN_DB, MAX_MIX_SECONDS
from .audio import check_waveform
from .crossfade import fade_curve
from .ducking import Ducking
from .loudness import Loudness, measure_loudness
from .mastering import Mastered, master
from .resample import resample

MIN_SECONDS = 0.01

_RATES = (44_100, 192_000)  # Hz, lowest and highest of a mix


@dataclass(frozen=True)
class Layer:
    """A sound of a mix, and where and how it is heard."""

    waveform: Tensor  # `c n`, one or two channels
    sample_rate: int  # Hz
    gain_db: float = 0.0
    start: float = 0.0  # seconds; below 0 the beginning of the sound is cut
    fade_in: float = 0.0  # seconds
    fade_out: float = 0.0  # seconds, before the end of the sound or of the mix
    pan: float = 0.0  # -1 left, 0 unchanged, 1 right
    name: str = ""

    def check(self) -> None:
        """Raise SettingsError if the sound or a setting is not valid."""
        check_waveform(self.waveform, (1, 2))
        check_number("gain", self.gain_db, -MAX_GAIN_DB, MAX_GAIN_DB, unit=" dB")
        check_number("start", self.start, -MAX_MIX_SECONDS, MAX_MIX_SECONDS, unit=" s")
        for name in ("fade_in", "fade_out"):
            check_number(name, getattr(self, name), 0, MAX_MIX_SECONDS, unit=" s")
        check_number("pan", self.pan, -1, 1)

    @property
    def end(self) -> float:
        """The second at which the sound ends."""
        return self.start + self.waveform.shape[-1] / self.sample_rate


@dataclass(frozen=True)
class Mix:
    """A mix of layers and its levels."""

    mastered: Mastered
    sample_rate: int  # Hz
    layers: tuple[Layer, ...]
    levels: tuple[Loudness, ...]  # of each layer in the mix, before the limiter
    lufs: float | None  # that was asked for

    def report(self) -> list[str]:
        """The levels of each layer and of the mix, a line each."""
        end = self.mastered.waveform.shape[-1] / self.sample_rate
        lines = []
        for number, (layer, level) in enumerate(zip(self.layers, self.levels, strict=True), 1):
            shown = level.describe()
            if layer.start >= end or layer.end <= 0:
                shown = f"not heard: {layer.start:.2f} to {layer.end:.2f} s of {end:.2f} s"
            lines.append(f"{number} {layer.name}".strip() + f": {shown}")
        lines.append(f"mix: {self.mastered.loudness.describe()}; {end:.2f} s")
        return [*lines, *self._changes()]

    def _changes(self) -> Iterator[str]:
        """What was done to reach the loudness."""
        mastered = self.mastered
        if not mastered.waveform.any():
            return
        if mastered.gain_db or mastered.limited_db:
            limited = f"; limiter: peaks lowered by up to {mastered.limited_db:.1f} dB"
            yield f"gain: {mastered.gain_db:+.1f} dB" + (limited if mastered.limited_db else "")
        if self.lufs is not None and not mastered.reached:
            yield mastered.shortfall(self.lufs)


def mix_layers(
    layers: Sequence[Layer],
    *,
    duck_under: int = 0,
    ducking: Ducking | None = None,
    lufs: float | None = None,
    ceiling_db: float = CEILING_DB,
    seconds: float | None = None,
) -> Mix:
    """Mix layers, duck them under one of them, and bring the mix to a loudness.

    The mix has the highest sample rate of the layers, from 44.1 to 192 kHz.

    Args:
        layers: at least one.
        duck_under: number of the layer, from 1, under which all others are turned down; 0 is none.
        ducking: how far they are turned down, and how fast; None turns nothing down.
        lufs: target loudness; None keeps the level, below the ceiling.
        ceiling_db: highest true peak, dB of full scale.
        seconds: length of the mix; None goes to the end of the last layer.

    Raises:
        SettingsError: no layer, or a value out of range.
    """
    if not layers:
        raise SettingsError("There is no layer to mix: [[pass|connect]] at least one.")
    for layer in layers:
        layer.check()
    if ducking is not None:
        ducking.check()
    there = f": there {'is 1 layer' if len(layers) == 1 else f'are {len(layers)} layers'}"
    check_number("duck_under", duck_under, 0, len(layers), there, whole=True)
    end = max(layer.end for layer in layers) if seconds is None else seconds
    check_number("The length of the mix", end, MIN_SECONDS, MAX_MIX_SECONDS, unit=" s")
    rate = min(max(_RATES[0], *(layer.sample_rate for layer in layers)), _RATES[1])
    length = round(end * rate)

    loud = render(layers[duck_under - 1], rate, length) if duck_under else None
    lowered = None
    if loud is not None and ducking is not None:
        lowered = 10 ** (ducking.gain_db(loud, rate) / 20)
    total, levels = torch.zeros(2, length, dtype=torch.float32), []
    for number, layer in enumerate(layers, 1):
        track = render(layer, rate, length)
        if lowered is not None and number != duck_under:
            track = track * lowered
        levels.append(measure_loudness(track, rate))
        total += track
    mastered = master(total, rate, lufs, ceiling_db)
    gain = mastered.gain_db
    heard = tuple(Loudness(x.lufs + gain, x.range_lu, x.peak_db + gain) for x in levels)
    return Mix(mastered, rate, tuple(layers), heard, lufs)


def render(layer: Layer, sample_rate: int, length: int) -> Tensor:
    """A layer as it is heard in a mix, `2 length`.

    Args:
        layer: what is heard.
        sample_rate: of the mix, Hz.
        length: of the mix, samples.
    """
    sound = resample(layer.waveform.detach().cpu().float(), layer.sample_rate, sample_rate)
    start = round(layer.start * sample_rate)
    before = min(max(start, 0), length)
    sound = sound[:, max(-start, 0) :][:, : length - before]
    count = sound.shape[-1]
    envelope = torch.full((count,), 10 ** (layer.gain_db / 20), dtype=torch.float32)
    rise, fall = (min(count, round(s * sample_rate)) for s in (layer.fade_in, layer.fade_out))
    envelope[:rise] *= fade_curve(rise)
    envelope[count - fall :] *= fade_curve(fall).flip(0)
    stereo = sound * envelope * torch.tensor(pan_gains(layer.pan), dtype=torch.float32)[:, None]
    return pad(stereo, (before, length - before - count))


def pan_gains(pan: float) -> tuple[float, float]:
    """Gains of left and right: the sine law of constant power, 0 dB in the middle.

    The squares add up to 2 everywhere: a sound on one side alone is 3 dB louder there. A stereo
    sound is balanced: its other channel is not heard then.

    Args:
        pan: -1 left, 0 middle, 1 right.
    """
    angle = (pan + 1) * pi / 4
    return sqrt(2) * cos(angle), sqrt(2) * sin(angle)
