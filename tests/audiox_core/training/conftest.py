"""Small media files, and a model's sizes that make them quick to read."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from audiox_core.config import AudioXConfig, ClipConfig, LatentConfig, VideoConfig

RATE = 8_000  # Hz


@pytest.fixture(scope="session")
def small() -> AudioXConfig:
    """Windows of 2.048 s of which 2 s are described, pictures of 32 pixels at 5 a second."""
    latent = LatentConfig(sample_rate=RATE, hop_length=1_024, window=16, described_seconds=2.0)
    video = VideoConfig(frames=10, clip=ClipConfig(image=32))
    return replace(AudioXConfig(), latent=latent, video=video)


@pytest.fixture
def media(tmp_path) -> Path:
    """An empty folder of media."""
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


@pytest.fixture
def film(media) -> Callable[..., Path]:
    """Make a file: frame `k` of a picture is grey `10 k`, sample `n` of a sound tells its second.

    `film("a.mp4")`, without picture `film("a.wav", picture=False)`, and so on.
    """

    def make(name: str, seconds: float = 3.0, *, picture=True, sound=True, loud=0.5) -> Path:
        path = media / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            if picture:
                stream = container.add_stream("mpeg4", rate=5)
                stream.width = stream.height = 32
                stream.pix_fmt = "yuv420p"
            if sound:
                heard = container.add_stream("aac" if picture else "pcm_s16le", rate=RATE)
                heard.layout = "mono"
            for k in range(round(5 * seconds) if picture else 0):
                pixels = np.full((32, 32, 3), min(10 * k, 250), np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
                container.mux(stream.encode(frame))
            if picture:
                container.mux(stream.encode(None))
            if sound and seconds:
                second = np.arange(round(seconds * RATE)) // RATE
                samples = loud * (second + 1) / 40 * np.where(np.arange(len(second)) % 2, 1, -1)
                kind = ("fltp", np.float32, 1) if picture else ("s16", np.int16, 32_767)
                frame = av.AudioFrame.from_ndarray(
                    (samples * kind[2]).astype(kind[1])[None], format=kind[0], layout="mono"
                )
                frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
                container.mux(heard.encode(frame))
                container.mux(heard.encode(None))
        return path

    return make
