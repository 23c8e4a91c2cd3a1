"""Clips made with PyAV whose frames tell their number, and sounds whose samples are known."""

import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

BITS = 8  # of a frame's number, as bars from left (lowest) to right


def picture_of(number: int, width: int, height: int) -> np.ndarray:
    """Upright RGB, `h w 3`: a bar for each bit, and a red strip at the top."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for bit in range(BITS):
        pixels[:, bit * width // BITS : (bit + 1) * width // BITS] = (
            230 if number >> bit & 1 else 20
        )
    pixels[: height // 6] = (220, 30, 30)
    return pixels


def number_in(picture: Tensor) -> int:
    """The number that an upright `3 h w` picture shows."""
    height, width = picture.shape[-2:]
    middle = picture[:, height // 3 : -height // 6].float().mean(dim=(0, 1))
    bars = [
        middle[int((bit + 0.3) * width / BITS) : int((bit + 0.7) * width / BITS)].mean()
        for bit in range(BITS)
    ]
    return sum((bar > 125) << bit for bit, bar in enumerate(bars))


@pytest.fixture(scope="session")
def numbers() -> Callable[[Tensor], list[int]]:
    """Which frames these are: `f 3 h w` -> their numbers."""
    return lambda frames: [int(number_in(frame)) for frame in frames]


@pytest.fixture(scope="session")
def noise() -> Callable[..., Tensor]:
    """A smooth random sound, `2 n`, below full scale: no two moments of it are alike."""

    def make(seconds: float, rate: int = 44_100, seed: int = 0) -> Tensor:
        raw = torch.randn(2, round(seconds * rate), generator=torch.Generator().manual_seed(seed))
        return torch.nn.functional.avg_pool1d(raw, 15, 1, 7, count_include_pad=False) * 0.5

    return make


@pytest.fixture(scope="session")
def delay() -> Callable[[Tensor, Tensor], int]:
    """By how many samples the first sound (`n`) comes after the second."""

    def measure(late: Tensor, early: Tensor) -> int:
        size = 1 << (len(late) + len(early)).bit_length()
        product = torch.fft.rfft(late.double(), size) * torch.fft.rfft(early.double(), size).conj()
        best = int(torch.fft.irfft(product, size).argmax())
        return best if best < size // 2 else best - size

    return measure


@pytest.fixture
def clip(tmp_path) -> Callable[..., Path]:
    """Make a clip whose frame `k` shows the number `k`.

    Its sound, if any, is `2 n` at 44,100 Hz from the picture's first frame on.
    """

    def make(
        name: str = "clip.mp4",
        frames: int = 30,
        fps: Fraction | float = 25,
        *,
        codec: str | None = None,
        pixels: str = "yuv420p",
        size: tuple[int, int] = (128, 96),
        options: dict[str, str] | None = None,
        times: list[int] | None = None,
        tick: Fraction | None = None,
        turned: int = 0,
        sound: Tensor | None = None,
        tags: dict[str, str] | None = None,
        container: dict[str, str] | None = None,
        edit: Callable[[av.container.OutputContainer], None] | None = None,
    ) -> Path:
        path = tmp_path / name
        webm = path.suffix == ".webm"
        rate = Fraction(fps).limit_denominator(1001)
        tick = tick or 1 / rate
        with av.open(str(path), "w", options=container or {}) as target:
            stream = target.add_stream(codec or ("libvpx" if webm else "libx264"), rate=rate)
            width, height = size if turned % 180 == 0 else size[::-1]
            stream.width, stream.height, stream.pix_fmt = width, height, pixels
            stream.codec_context.time_base = tick
            if webm:
                stream.options = {"deadline": "realtime", "cpu-used": "8", "b": "500k"}
            elif codec is None:
                stream.options = {"preset": "ultrafast", "crf": "20", **(options or {})}
            if turned:
                stream.set_display_rotation(turned)
            target.metadata.update(tags or {})
            heard = None
            if sound is not None:
                heard = target.add_stream(
                    "libopus" if webm else "aac", rate=48_000 if webm else 44_100
                )
                heard.bit_rate = 192_000
            if edit is not None:
                edit(target)
            begin = Fraction(times[0] * tick if times else 0)
            for k in range(frames):
                stored = np.rot90(picture_of(k, *size), -turned // 90)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), format="rgb24")
                frame.pts, frame.time_base = times[k] if times else k, tick
                target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
            if heard is not None:
                samples = sound.numpy()
                if webm:
                    samples = samples.T.reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(samples), format="flt" if webm else "fltp", layout="stereo"
                )
                frame.sample_rate, frame.time_base = heard.rate, Fraction(1, heard.rate)
                frame.pts = round(begin * heard.rate)
                target.mux(heard.encode(frame))
                target.mux(heard.encode(None))
        return path

    return make


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
