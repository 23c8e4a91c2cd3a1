"""Media files with random damage, and what the pack does with each of them."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import torch

from audiox_core.media.audio import read_audio
from audiox_core.media.mux import mux_soundtrack
from audiox_core.media.pixels import read_image
from audiox_core.media.probe import probe_media
from audiox_core.media.video import FrameGrid, probe_video, read_frame, read_grids

from . import isolated
from .extremes import EXTREMES
from .mutations import mutate
from .originals import available, content
from .steps import step

GRIDS = [FrameGrid(), FrameGrid(250, 25.0)]  # of CLIP and of Synchformer
ODD_NAME = "\x1b[31mred\n\x07"  # in the name of some files
ODD_NAMES = 0.01  # share of them
EXTREME = 0.04  # share of files that are valid and absurd
RATE = 44_100  # Hz
OUTPUTS = ("whole.mp4", "whole.mkv", "piece.mp4", "piece.mkv")


def mutants(count: int, seed: int, folder: Path, first: int = 0) -> Iterator[Path]:
    """Make damaged files; number k depends on the seed and on k alone.

    Args:
        count: of the files.
        seed: of all of them.
        folder: to write into.
        first: number of the first one.

    Yields:
        Paths such as `00007-mp4 libx264 aac-cut.mp4`; each file is made when it is asked for.
    """
    originals, extremes = available(), sorted(EXTREMES)
    for index in range(first, first + count):
        rng = Random(f"{seed}:{index}")
        if rng.random() < EXTREME:
            name = rng.choice(extremes)
            stem, suffix, data = f"extreme-{Path(name).stem}", Path(name).suffix, EXTREMES[name]()
        else:
            original = rng.choice(originals)
            data, names = mutate(content(original), rng, original)
            stem, suffix = f"{original.kind}-{'+'.join(names)}", original.suffix
        odd = ODD_NAME if rng.random() < ODD_NAMES else ""
        path = folder / f"{index:05d}-{stem}{odd}{suffix}"
        path.write_bytes(data)
        yield path


def check(path: Path) -> str | None:
    """The faults of one file, examined in a process of its own; None if there are none."""
    return isolated.check("media", path)


def examine(path: Path) -> list[str]:
    """Do all that the pack does with a media file; returns the faults."""
    faults: list[str] = []
    for name, read in READERS.items():
        with step(name, faults):
            read(path)
    folder = Path(tempfile.mkdtemp())
    try:
        for name in OUTPUTS:
            before = len(faults)
            with step(f"mux_soundtrack {name}", faults):
                _mux(path, folder / name)
            left = sorted(p.name for p in folder.iterdir() if p.name != name)
            if left and len(faults) == before:
                faults.append(f"mux_soundtrack {name}: files left: {left!r}")
            for file in folder.iterdir():
                file.unlink()
    finally:
        shutil.rmtree(folder)
    return faults


def _sound(path: Path) -> None:
    waveform = read_audio(path, sample_rate=RATE)
    assert waveform.shape[0] == 2
    assert waveform.isfinite().all()


def _piece_of_sound(path: Path) -> None:
    waveform = read_audio(path, sample_rate=RATE, start=0.4, seconds=0.5)
    assert 0 < waveform.shape[-1] <= RATE // 2


def _frames(path: Path, start: float) -> None:
    for grid, frames in zip(GRIDS, read_grids(path, GRIDS, start=start), strict=True):
        assert frames.shape == (grid.count, 3, grid.size, grid.size)


def _mux(path: Path, output: Path) -> None:
    sound = torch.sin(torch.arange(RATE // 2) / 20).expand(2, -1) * 0.3
    piece = {"start": 0.5, "seconds": 0.4} if output.name.startswith("piece") else {}
    mux_soundtrack(path, sound, RATE, output, **piece)
    assert output.stat().st_size > 0


READERS: dict[str, Callable[[Path], object]] = {
    "probe_media": probe_media,
    "probe_video": probe_video,
    "read_audio": _sound,
    "read_audio from 0.4 s": _piece_of_sound,
    "read_grids": lambda path: _frames(path, 0.0),
    "read_grids from 0.7 s": lambda path: _frames(path, 0.7),
    "read_frame": lambda path: read_frame(path, 0.5),
    "read_image": read_image,
}
