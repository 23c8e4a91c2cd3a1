"""Sounds of every format, and what else the tests of media share."""

import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch


@pytest.fixture
def sound_file(tmp_path) -> Callable[..., Path]:
    """Write an array `c n` as it is, in any codec, sample format and layout."""

    def make(
        name: str, samples: np.ndarray, rate: int, *, codec: str, kind: str, layout: str
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as target:
            stream = target.add_stream(codec, rate=rate)
            stream.layout = layout
            if codec.startswith(("aac", "libopus", "libmp3lame")):
                stream.bit_rate = 192_000
            packed = samples if kind.endswith("p") else samples.T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(packed), format=kind, layout=layout
            )
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
        return path

    return make


@pytest.fixture
def open_files() -> Callable[[], int]:
    """How many files this process holds open."""
    return lambda: len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
def _quiet_ffmpeg(caplog):
    logging.getLogger("libav").setLevel(logging.CRITICAL)


@pytest.fixture
def sweep() -> Callable[..., torch.Tensor]:
    """A tone that rises from 50 Hz to four fifths of what the lower of two rates can hold."""

    def make(rate: int, other: int, seconds: float = 2.0) -> torch.Tensor:
        time = torch.arange(round(rate * seconds), dtype=torch.float64) / rate
        top = 0.4 * min(rate, other)
        wave = torch.sin(2 * torch.pi * (50 * time + (top - 50) * time**2 / (2 * seconds)))
        return (wave * torch.hann_window(len(time), dtype=torch.float64).sqrt()).float()[None]

    return make
