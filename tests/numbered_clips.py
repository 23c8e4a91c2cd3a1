"""Clips made with PyAV whose frames tell their number, and sounds whose samples are known."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
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


def make_noise(seconds: float, rate: int = 44_100, seed: int = 0) -> Tensor:
    """A smooth random sound, `2 n`, below full scale: no two moments of it are alike."""
    raw = torch.randn(2, round(seconds * rate), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool1d(raw, 15, 1, 7, count_include_pad=False) * 0.5


def measure_delay(late: Tensor, early: Tensor) -> int:
    """By how many samples the first sound (`n`) comes after the second."""
    size = 1 << (len(late) + len(early)).bit_length()
    product = torch.fft.rfft(late.double(), size) * torch.fft.rfft(early.double(), size).conj()
    best = int(torch.fft.irfft(product, size).argmax())
    return best if best < size // 2 else best - size


def make_clip(
    path: Path,
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
    """A clip whose frame `k` shows the number `k`.

    Its sound, if any, is `2 n` at 44,100 Hz from the picture's first frame on.
    """
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
            heard = target.add_stream("libopus" if webm else "aac", rate=48_000 if webm else 44_100)
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
