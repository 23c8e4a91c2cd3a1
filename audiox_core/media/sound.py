"""Audio in memory: as an input, as a result, and in a notebook.

Axes: `c` channels, `n` samples.
"""

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingsError, check_number, one_line
from ..limits import MAX_SAMPLE_RATE
from .audio import read_audio, write_audio
from .resample import resample

_MOST_CHANNELS = 64  # more are samples: the axes are the wrong way round


@dataclass(frozen=True)
class Sound:
    """Audio and its sample rate; the last expression of a notebook's cell is played."""

    waveform: Tensor | np.ndarray  # `c n` or `n`, in -1..1, or integers of full scale
    sample_rate: int  # Hz

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return np.shape(self.waveform)[-1] / self.sample_rate

    def stereo(self) -> Tensor:
        """The audio as `2 n`, float; a single channel is copied to both.

        Raises:
            SettingsError: the waveform has another shape, or a sample rate is missing.
        """
        check_number("sample_rate", self.sample_rate, 1, MAX_SAMPLE_RATE, unit=" Hz")
        wave = in_full_scale(as_tensor(self.waveform, "The waveform"))
        wave = wave[None] if wave.ndim == 1 else wave
        shape = tuple(wave.shape)
        if wave.ndim != 2 or not wave.shape[-1]:
            raise SettingsError(
                f"The waveform is {shape}: expected (channels, samples), or (samples,)."
            )
        if len(wave) > 2:
            turned = len(wave) > _MOST_CHANNELS and wave.shape[-1] <= _MOST_CHANNELS
            remedy = "pass its transpose" if turned else "mix it to two channels first"
            raise SettingsError(
                f"The waveform is {shape}: expected (channels, samples) with one or two channels; "
                f"{remedy}."
            )
        return wave.expand(2, -1)

    def to_numpy(self) -> np.ndarray:
        """The samples as an array `c n`; many libraries of audio want `n c`, its transpose."""
        wave = self.waveform
        return wave.detach().cpu().numpy() if isinstance(wave, Tensor) else np.asarray(wave)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.seconds:.2f} s at {self.sample_rate} Hz)"

    def _repr_html_(self) -> str:
        """A player for notebooks, with the audio as MP3 inside."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "sound.mp3"
            write_audio(path, self.stereo(), self.sample_rate)
            data = b64encode(path.read_bytes()).decode("ascii")
        return f'<audio controls src="data:audio/mpeg;base64,{data}"></audio>'


def read_sound(
    source: str | Path | Sound, *, sample_rate: int, seconds: float | None = None
) -> Tensor:
    """Read the audio of a file, or take that in memory.

    Args:
        source: a file, see `read_audio`, or audio.
        sample_rate: Hz of the result.
        seconds: length of the piece; None is all of it.

    Returns:
        `2 n`, float32.

    Raises:
        MediaError: the file cannot be read.
        SettingsError: the audio has another shape, or samples that are no numbers.
    """
    if not isinstance(source, Sound):
        return read_audio(Path(source), sample_rate=sample_rate, seconds=seconds)
    wave = source.stereo()
    if not wave.isfinite().all():
        raise SettingsError("The audio has NaN or infinite samples.")
    wave = resample(wave.detach().cpu().float(), source.sample_rate, sample_rate)
    return wave if seconds is None else wave[:, : round(seconds * sample_rate)]


def as_tensor(value: Any, name: str) -> Tensor:
    """An array, a tensor or nested numbers as a tensor, which shares memory where it can.

    Args:
        value: of numbers.
        name: for messages.

    Raises:
        SettingsError: it does not consist of numbers.
    """
    if isinstance(value, Tensor):
        return value
    try:
        array = np.ascontiguousarray(value)
        return torch.from_numpy(array if array.flags.writeable else array.copy())
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"{name} is a {type(value).__name__} ({one_line(str(error))[:80]}): pass an array or a "
            "tensor of numbers."
        ) from error


def in_full_scale(wave: Tensor) -> Tensor:
    """Integers of full scale as floats in -1..1; floats stay as they are."""
    if wave.is_floating_point():
        return wave
    if wave.dtype not in (torch.uint8, torch.int16, torch.int32):
        raise SettingsError(
            f"The waveform has the type {wave.dtype}: use floats in -1..1, int16 or int32."
        )
    if wave.dtype == torch.uint8:
        return (wave.float() - 128) / 128
    return wave.float() / -float(torch.iinfo(wave.dtype).min)
