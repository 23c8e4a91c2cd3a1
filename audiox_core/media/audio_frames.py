"""Sound in memory as the frames that FFmpeg's encoders and filters take."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

_CHUNK = 1 << 12  # samples of a frame


def audio_frames(
    samples: np.ndarray, sample_rate: int, kind: str, first: int = 0
) -> Iterator[av.AudioFrame]:
    """Cut a sound, or a block of one, into frames.

    Args:
        samples: `c n`, one or two channels.
        sample_rate: Hz.
        kind: FFmpeg's sample format of the numbers, such as "fltp"; without the "p" at its end
            left and right take turns.
        first: number of the block's first sample in the sound.
    """
    layout = "mono" if len(samples) == 1 else "stereo"
    for begin in range(0, samples.shape[-1], _CHUNK):
        part = samples[:, begin : begin + _CHUNK]
        part = part if kind.endswith("p") else part.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format=kind, layout=layout)
        frame.sample_rate, frame.time_base = sample_rate, Fraction(1, sample_rate)
        frame.pts = first + begin
        yield frame
