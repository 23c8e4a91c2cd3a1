"""Decode sound of any sample format and layout to stereo floats with exact times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

import av.container
import numpy as np
import torch
from torch import Tensor

from ..errors import MediaError
from .files import decode_frames, packets_of, time_base

_JITTER = Fraction(1, 20)  # seconds; Matroska rounds to milliseconds: that is no gap
_DIAGONAL = sqrt(0.5)
# Gains of a speaker for left and right, as FFmpeg mixes floats (ITU-R BS.775)
_LEFT_RIGHT = {
    "FL": (1.0, 0.0), "FR": (0.0, 1.0), "FC": (_DIAGONAL, _DIAGONAL),
    "BL": (_DIAGONAL, 0.0), "BR": (0.0, _DIAGONAL), "BC": (0.5, 0.5),
    "SL": (_DIAGONAL, 0.0), "SR": (0.0, _DIAGONAL), "LFE": (0.0, 0.0), "LFE2": (0.0, 0.0),
    "FLC": (1.0, 0.0), "FRC": (0.0, 1.0), "WL": (_DIAGONAL, 0.0),
    "WR": (0.0, _DIAGONAL), "DL": (1.0, 0.0), "DR": (0.0, 1.0),
}  # fmt: skip
# The usual speakers of sound that comes without a layout, by the number of its channels
_USUAL_LAYOUTS = {3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_MOST_PLANES = 8  # PyAV crashes when it reads more of a frame
RATES = range(1_000, 768_001)  # Hz; a header with another rate is damaged


@dataclass(frozen=True)
class Block:
    """Stereo samples, `2 n`, and the container's second at which the first one sounds."""

    time: Fraction
    samples: Tensor
    rate: int  # Hz

    @property
    def end(self) -> Fraction:
        """The second after the last sample."""
        return self.time + Fraction(self.samples.shape[-1], self.rate)


def stereo_blocks(
    container: av.container.InputContainer, stream: av.AudioStream, name: str
) -> Iterator[Block]:
    """Decode a stream from the current position into blocks on a continuous time line.

    Each block continues the last one sample by sample, unless the timestamps differ by more than
    50 ms: then the file has a gap or a repetition.

    Args:
        container: an open file.
        stream: of it.
        name: of the file, for messages.

    Raises:
        MediaError: nothing can be decoded, or the sample rate is absurd or changes within the
            file.
    """
    if stream.rate and stream.rate not in RATES:
        raise MediaError(
            f"{name} has a sample rate of {stream.rate:,} Hz in its header: expected "
            f"{RATES[0]:,} to {RATES[-1]:,} Hz. Export it again."
        )
    due, rate = None, 0
    for frame in decode_frames(packets_of(container, stream, name), name):
        if rate not in (0, frame.sample_rate):
            raise MediaError(
                f"{name} changes its sample rate from {rate} to {frame.sample_rate} Hz. "
                "Export it with one sample rate."
            )
        rate = frame.sample_rate
        stamped = None if frame.pts is None else frame.pts * time_base(frame)
        if due is None:
            time = stamped or Fraction(0)
        else:
            time = due if stamped is None or abs(stamped - due) <= _JITTER else stamped
        speakers = [channel.name for channel in frame.layout.channels]
        block = Block(time, to_stereo(_samples(frame, name), speakers), rate)
        due = block.end
        yield block


def to_stereo(samples: Tensor, speakers: Sequence[str] | None = None) -> Tensor:
    """Mix to left and right as FFmpeg mixes floats: the sum of loud channels may exceed 1.

    One channel goes to both at its own level; two stay as they are; the centre is 3 dB lower in
    both. Channels whose speakers are unknown are averaged.

    Args:
        samples: `c n`, float.
        speakers: FFmpeg's names of the `c` channels; None takes the usual ones (5.1 for six).

    Returns:
        `2 n`.
    """
    channels = len(samples)
    if channels <= 2:
        return samples.expand(2, -1)
    if speakers is None and channels in _USUAL_LAYOUTS:
        speakers = [c.name for c in av.AudioLayout(_USUAL_LAYOUTS[channels]).channels]
    if speakers is None or not all(speaker in _LEFT_RIGHT for speaker in speakers):
        return samples.mean(dim=0).expand(2, -1)
    gains = [_LEFT_RIGHT[speaker] for speaker in speakers]
    return torch.tensor(gains, dtype=samples.dtype, device=samples.device).T @ samples


def _samples(frame: av.AudioFrame, name: str) -> Tensor:
    """A decoded frame as `c n` float32 in -1..1."""
    channels = len(frame.layout.channels)
    if frame.format.is_planar and channels > _MOST_PLANES:
        raise MediaError(
            f"{name} has {channels} channels, but at most {_MOST_PLANES} can be read. Export it "
            "with fewer channels."
        )
    try:
        values = frame.to_ndarray()
    except (ValueError, KeyError) as error:
        raise MediaError(
            f"{name} has the sample format {frame.format.name}, which is not supported. Export "
            "it with 16, 24 or 32 bits."
        ) from error
    if not frame.format.is_planar:
        values = values.reshape(-1, len(frame.layout.channels)).T
    if values.dtype == np.uint8:
        values = values.astype(np.float32) - 128.0
        full_scale = 128.0
    else:
        whole = np.issubdtype(values.dtype, np.integer)
        full_scale = float(np.iinfo(values.dtype.name).max) + 1.0 if whole else 1.0
    # in torch, which prints no warning about NaN
    return torch.from_numpy(np.ascontiguousarray(values)).double().div(full_scale).float()
