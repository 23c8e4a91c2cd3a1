"""A soundtrack as a picture: frames, the spectrogram below them, and when something happens.

SVG, written by hand around two PNGs, so that nothing has to be installed. Axes: `f` frames,
`h w` pixels, `c` channels, `n` samples, `k` bands, `t` columns.
"""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from xml.sax.saxutils import escape

import av
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_max_pool1d

from ...analysis.spectra import FLOOR_DB, band_levels
from ...analysis.spectrogram import coloured

WIDTH, SPECTROGRAM, MARGIN = 960, 220, 34  # pixels
SILENT = 1e-4  # peak of a sound that is none
COLUMNS = 640  # of the spectrogram, in pixels of its own


def contact_sheet(
    frames: Tensor, audio: Tensor, sample_rate: int, events: Sequence[float], title: str
) -> str:
    """Frames at even times, the sound's spectrogram, and a line at each event.

    Args:
        frames: `f 3 h h` uint8, evenly spaced over the clip: all of them are drawn.
        audio: `c n`.
        sample_rate: Hz.
        events: seconds at which something is seen to happen.
        title: one line above.
    """
    seconds, inner = audio.shape[-1] / sample_rate, WIDTH - 2 * MARGIN
    top = MARGIN + inner // len(frames)
    bottom = top + SPECTROGRAM
    strip = torch.cat([*frames], dim=-1).permute(1, 2, 0).contiguous().numpy()
    lines = "".join(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="#fff" '
        f'stroke-dasharray="4 4"/><path d="M{x:.1f},{top + 9} l-6,-9 h12 z" fill="#fff"/>'
        for x in (MARGIN + inner * event / seconds for event in events)
    )
    ticks = "".join(
        f'<text x="{MARGIN + inner * second / seconds:.1f}" y="{bottom + 16}" '
        f'text-anchor="middle">{second}</text>'
        for second in range(int(seconds) + 1)
    )
    height = bottom + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12" fill="#333">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        f'<text x="{MARGIN}" y="{MARGIN - 12}" font-size="15">{escape(title)}</text>'
        f"{_image(strip, MARGIN, inner, top - MARGIN)}"
        f"{_image(_coloured(audio, sample_rate), top, inner, SPECTROGRAM)}"
        f'{lines}{ticks}<text x="{WIDTH - MARGIN}" y="{height - 4}" text-anchor="end">seconds; '
        "low sounds below, high ones above; white: an event of the picture</text></svg>\n"
    )


def _coloured(audio: Tensor, sample_rate: int) -> NDArray:
    """The spectrogram `c n` as pixels, high bands above."""
    levels = adaptive_max_pool1d(band_levels(audio, sample_rate)[None], COLUMNS)[0]
    if audio.abs().max() < SILENT:  # else silence would be as loud as its loudest band
        levels = torch.full_like(levels, FLOOR_DB)
    return coloured((1 - levels / FLOOR_DB).flip(0).numpy())


def _image(pixels: NDArray, top: int, width: int, height: int) -> str:
    data = b64encode(_png(pixels)).decode()
    return (
        f'<image x="{MARGIN}" y="{top}" width="{width}" height="{height}" '
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
