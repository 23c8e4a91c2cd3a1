"""Notes rendered with a General MIDI sound font.

Only training on music needs the two packages: `tinysoundfont` plays the
font (its PyAudio is for loudspeakers, and is not needed), `pretty_midi` ships it. The mellow music
of the effects is played with the Fluid font, whose licence is free for every use.
Axes: `n` samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SettingsError

INSTALL = "pip install --no-deps tinysoundfont pretty_midi"
FONT = "TimGM6mb.sf2"
FLUID = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")  # MIT
INSTALL_FLUID = "apt-get install fluid-soundfont-gm"


@dataclass(frozen=True)
class Note:
    """One note of one voice."""

    start: float  # s
    end: float  # s
    key: int  # MIDI, 60 is the middle C
    velocity: int  # 1..127
    voice: int = 0  # 0 melody, 1 accompaniment


def play(
    notes: Sequence[Note],
    program: int,
    pans: Sequence[float],
    samples: int,
    sample_rate: int,
    *,
    fluid: bool = False,
) -> NDArray:
    """Render notes, `2 n` float32.

    Args:
        notes: in any order.
        program: General MIDI instrument, 0..127.
        pans: of each voice, -1 left .. 1 right.
        samples: `n`; sound after the end is cut.
        sample_rate: Hz.
        fluid: with the large Fluid font instead of the one that `pretty_midi` brings.

    Raises:
        SettingsError: a package is missing; the message says how to install it.
    """
    synth = _synth(program, pans, sample_rate, _fluid() if fluid else _font())
    steps = sorted(
        [(round(note.end * sample_rate), False, note) for note in notes]
        + [(round(note.start * sample_rate), True, note) for note in notes],
        key=lambda step: (step[0], step[1], step[2].voice, step[2].key),
    )
    sound = np.zeros((samples, 2), np.float32)
    done = 0
    for at, begins, note in steps:
        if (until := min(at, samples)) > done:
            synth.generate_simple(until - done, sound[done:until].data.cast("B"))
            done = until
        if begins:
            synth.noteon(note.voice, note.key, note.velocity)
        else:
            synth.noteoff(note.voice, note.key)
    if done < samples:
        synth.generate_simple(samples - done, sound[done:].data.cast("B"))
    return np.ascontiguousarray(sound.T)


def _synth(program: int, pans: Sequence[float], sample_rate: int, font: Path) -> Any:
    try:
        import tinysoundfont
    except ImportError as error:
        raise SettingsError(f"Music needs the package tinysoundfont: run `{INSTALL}`.") from error
    synth = tinysoundfont.Synth(gain=-12.0, samplerate=sample_rate)
    bank = synth.sfload(str(font))
    for voice, pan in enumerate(pans):
        synth.program_select(voice, bank, 0, program)
        synth.control_change(voice, 10, round(63.5 * (1 + pan)))
    return synth


def _font() -> Path:
    """The sound font, without importing the package that it lies in."""
    spec = find_spec("pretty_midi")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder) / FONT).is_file():
            return path
    raise SettingsError(f"Music needs the sound font {FONT} of pretty_midi: run `{INSTALL}`.")


def _fluid() -> Path:
    if not FLUID.is_file():
        raise SettingsError(f"Music needs the sound font {FLUID}: run `{INSTALL_FLUID}`.")
    return FLUID
