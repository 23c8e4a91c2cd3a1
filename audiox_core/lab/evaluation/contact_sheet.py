"""A soundtrack as a picture: frames above the spectrogram, and when something happens.

SVG, written by hand around two PNGs, so that nothing has to be installed. Axes: `f` frames,
`h w` pixels, `c` channels, `n` samples, `k` bands, `t` columns.
"""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from xml.sax.saxutils import escape

import av
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_max_pool1d

from ...analysis.spectra import FLOOR_DB, band_levels
from ...analysis.spectrogram import coloured
from ...media.sound import Sound

WIDTH, SPECTROGRAM, MARGIN = 960, 220, 34  # pixels
SILENT = 1e-4  # peak of a sound that is none
COLUMNS = 640  # of the spectrogram, in pixels of its own
WIDEST, GAP = 120, 2  # pixels of a frame, and between two


def contact_sheet(
    frames: Tensor, times: Sequence[float], sound: Sound, events: Sequence[float], title: str
) -> str:
    """Frames, each above its time in the sound's spectrogram, and a line at each event.

    Args:
        frames: `f 3 h h` uint8: all of them are drawn.
        times: seconds of each frame, increasing, within the sound.
        sound: what is drawn below them.
        events: seconds at which something is seen to happen.
        title: one line above.
    """
    seconds, inner = sound.seconds, WIDTH - 2 * MARGIN
    scale = inner / seconds  # pixels a second
    side = min(WIDEST, scale * _room(times, seconds) - GAP)
    top = MARGIN + side
    bottom = top + SPECTROGRAM
    shown = "".join(
        _image(
            frame.permute(1, 2, 0).contiguous().numpy(),
            (MARGIN + scale * time - side / 2, MARGIN),
            (side, side),
        )
        for frame, time in zip(frames, times, strict=True)
    )
    lines = "".join(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" stroke="#fff" '
        f'stroke-dasharray="4 4"/><path d="M{x:.1f},{top + 9:.1f} l-6,-9 h12 z" fill="#fff"/>'
        for x in (MARGIN + scale * event for event in events)
    )
    ticks = "".join(
        f'<text x="{MARGIN + scale * second:.1f}" y="{bottom + 16:.1f}" '
        f'text-anchor="middle">{second}</text>'
        for second in range(int(seconds) + 1)
    )
    spectrogram = _coloured(sound.waveform, sound.sample_rate)
    legend = "; white: an event of the picture" if events else ""
    height = round(bottom + MARGIN)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12" fill="#333">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        f'<text x="{MARGIN}" y="{MARGIN - 12}" font-size="15">{escape(title)}</text>'
        f"{shown}"
        f"{_image(spectrogram, (MARGIN, top), (inner, SPECTROGRAM))}"
        f'{lines}{ticks}<text x="{WIDTH - MARGIN}" y="{height - 4}" text-anchor="end">seconds; '
        f"low sounds below, high ones above{legend}</text></svg>\n"
    )


def _coloured(audio: Tensor, sample_rate: int) -> NDArray:
    """The spectrogram `c n` as pixels, high bands above."""
    levels = adaptive_max_pool1d(band_levels(audio, sample_rate)[None], COLUMNS)[0]
    if audio.abs().max() < SILENT:  # else silence would be as loud as its loudest band
        levels = torch.full_like(levels, FLOOR_DB)
    return coloured((1 - levels / FLOOR_DB).flip(0).numpy())


def _room(times: Sequence[float], seconds: float) -> float:
    """The width in seconds at which frames around their times stay within the sound and apart."""
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return min(2 * times[0], *gaps, 2 * (seconds - times[-1]))


def _image(pixels: NDArray, corner: tuple[float, float], size: tuple[float, float]) -> str:
    """`h w 3` uint8, stretched to a size; corner and size are horizontal, then vertical."""
    data = b64encode(_png(pixels)).decode()
    (x, y), (width, height) = corner, size
    return (
        f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'preserveAspectRatio="none" href="data:image/png;base64,{data}"/>'
    )


def _png(pixels: NDArray) -> bytes:
    """`h w 3` uint8 as a file."""
    with BytesIO() as file, av.open(file, "w", format="image2pipe") as container:
        stream = container.add_stream("png")
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt = "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
        return file.getvalue()
