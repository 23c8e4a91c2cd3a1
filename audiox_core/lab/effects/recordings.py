"""Recordings with free licences that Debian's packages install, as mono sound. Axes: `n` samples.

The effects of the Fluid GS sound font (MIT) and samples of Sonic Pi (CC0). Nothing of them is in
this repository.
"""

import struct
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from ...errors import SettingsError
from ...media.audio import read_audio
from ...media.files import open_media
from ..world.soundfont import FLUID

FONT = Path("/usr/share/sounds/sf2/FluidR3_GS.sf2")
SAMPLES = Path("/usr/share/sonic-pi/samples")
EMOJI = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")  # of the pictures
INSTALL = (
    "apt-get install fluid-soundfont-gs fluid-soundfont-gm sonic-pi-samples fonts-noto-color-emoji"
)
HEADER = struct.Struct("<20s5IBbHH")  # of a sample: name, start, end, loop, loop, rate and others
AUDIBLE = 1e-3  # of the peak: what is softer before and after a sound is cut away


def installed() -> bool:
    """Whether the recordings, the fonts of music and of the pictures are on this machine."""
    return SAMPLES.is_dir() and all(path.is_file() for path in (FONT, FLUID, EMOJI))


def check_installed(*, music: bool) -> None:
    """Raise SettingsError if something is missing that scenes, or music, are rendered from.

    Else each clip would be left out as one that cannot be used.
    """
    if not installed():
        raise SettingsError(f"The recorded effects are not installed: run `{INSTALL}`.")
    if music and find_spec("tinysoundfont") is None:
        raise SettingsError("Music needs tinysoundfont: run `pip install --no-deps tinysoundfont`.")


@cache
def recording(name: str, sample_rate: int) -> NDArray:
    """A recording with a peak of 1, `n` float32. The array is shared: do not change it.

    Args:
        name: of a sample in the sound font; with `.flac`, of a file of Sonic Pi.
        sample_rate: Hz.

    Raises:
        SettingsError: the packages are not installed.
    """
    if name.endswith(".flac"):
        sound = read_audio(_sample_file(name), sample_rate=sample_rate).mean(dim=0).numpy()
    else:
        if name not in _font():
            raise SettingsError(f"{FONT} has no sample {name!r}: run `{INSTALL}`.")
        samples, rate = _font()[name]
        sound = resample(samples, sample_rate / rate)
    heard = np.flatnonzero(np.abs(sound) > AUDIBLE * np.abs(sound).max())
    sound = sound[heard[0] : heard[-1] + 1]
    sound = (sound / np.abs(sound).max()).astype(np.float32)
    sound.setflags(write=False)
    return sound


def stored(name: str) -> tuple[int, int]:
    """Samples of a recording as its package stores it, and their rate in Hz.

    Args:
        name: as of `recording`.

    Raises:
        SettingsError: the packages are not installed.
    """
    if not name.endswith(".flac"):
        samples, rate = _font()[name]
        return samples.size, rate
    with open_media(_sample_file(name)) as container:
        rate = container.streams.audio[0].rate
        return round(container.duration / av.time_base * rate), rate


def resample(sound: NDArray, factor: float) -> NDArray:
    """A sound with `factor` times as many samples and the same content, band-limited."""
    length = max(1, round(sound.size * factor))
    spectrum = np.fft.rfft(np.asarray(sound, np.float32))
    kept = min(spectrum.size, length // 2 + 1)
    return (np.fft.irfft(spectrum[:kept], length) * (length / sound.size)).astype(np.float32)


def _sample_file(name: str) -> Path:
    if not (path := SAMPLES / name).is_file():
        raise SettingsError(f"{path} is missing: run `{INSTALL}`.")
    return path


@cache
def _font() -> dict[str, tuple[NDArray, int]]:
    """The samples of the sound font and their rates in Hz, by name (SoundFont 2.04, section 7)."""
    if not FONT.is_file():
        raise SettingsError(f"{FONT} is missing: run `{INSTALL}`.")
    content = FONT.read_bytes()
    parts = dict(_chunks(content, 12, len(content)))
    if not {b"smpl", b"shdr"} <= parts.keys():
        raise SettingsError(
            f"{FONT} is no sound font: run `apt-get install --reinstall fluid-soundfont-gs`."
        )
    data = np.frombuffer(parts[b"smpl"], "<i2").astype(np.float32) / 32_768
    found = {}
    for name, start, end, _, _, rate, *_ in HEADER.iter_unpack(parts[b"shdr"]):
        found[name.split(b"\0")[0].decode("latin-1")] = data[start:end], rate
    return found


def _chunks(content: bytes, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of the RIFF chunks between two places; lists are opened."""
    while start + 8 <= end:
        name, size = struct.unpack_from("<4sI", content, start)
        body = start + 8
        if name == b"LIST":
            yield from _chunks(content, body + 4, body + size)
        else:
            yield name, content[body : body + size]
        start = body + size + size % 2
