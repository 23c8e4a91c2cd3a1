"""Copy a video with a new soundtrack; the video stream is not re-encoded.

Time 0 of the copy is the first frame, or `start`: video packets are copied unchanged, and only
their timestamps move.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import cast

import av.container
import av.error
import av.stream
import numpy as np
import torch
from av.stream import Disposition
from torch import Tensor

from ..errors import MediaError, PictureError, SettingsError
from .audio import BLOCK, check_waveform
from .audio_frames import audio_frames
from .files import exact_piece, is_same_file, open_media, open_output, replacing, time_base
from .formats import AAC, FORMATS, OPUS, VIDEO_SUFFIXES, AudioCodec
from .packets import Source, Span, decoded, shown, untimed
from .resample import resample_blocks
from .streams import (
    add_other,
    check_picture,
    copy_chapters,
    copy_stream,
    is_mp4_like,
    kept_metadata,
    muxer_options,
)
from .timeline import PictureReader, is_cover, picture_stream
from .truncation import set_matroska_duration

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MuxOptions:
    """What a copy of a video keeps, and who sees its progress."""

    keep_audio: bool = False  # of the video, as further tracks that are not played by default
    exact: bool = False  # raise MediaError where the part would end late
    on_progress: Callable[[float], None] = lambda _: None  # share of the time that is written


def check_mux(
    video: Path,
    output: Path,
    *,
    start: Fraction | float = 0.0,
    seconds: Fraction | float | None = None,
    options: MuxOptions = MuxOptions(),
) -> None:
    """Check that a copy of `video` can be written, before anything is computed.

    The copy is made once without being stored, so this reads the file but decodes nothing.

    Args:
        video, output, start, seconds, options: as in `mux_soundtrack`.

    Raises:
        PictureError: the picture cannot be copied into this container.
        MediaError: the video cannot be read.
        SettingsError: a value out of range, an unknown suffix, or both are the same file.
    """
    video, output = Path(video), Path(output)
    piece = _Piece.of(video, output, start, seconds)
    suffix = output.suffix.lower()
    sound = _sound(torch.zeros(2, 1, dtype=torch.float32), 48_000, piece, suffix)
    try:
        _write(video, suffix, None, piece.span, sound, options=options)
    except av.error.FFmpegError as error:
        raise MediaError(
            f"{suffix} files cannot store the video stream of {video.name} as it is "
            f"({error.strerror}). Convert the video to MP4 first."
        ) from error


def mux_soundtrack(
    video: Path,
    waveform: Tensor,
    sample_rate: int,
    output: Path,
    *,
    start: Fraction | float = 0.0,
    seconds: Fraction | float | None = None,
    options: MuxOptions = MuxOptions(),
) -> None:
    """Write a copy of a video, or of a piece of it, with a new soundtrack.

    The audio starts with the first frame (or at `start`) and is cut at the end of the video.
    Subtitles, chapters, covers, tags, rotation and further video streams are copied; what the
    container cannot store is left out with a warning. A part starts at the keyframe at or before
    `start`: MP4 and MOV hide the frames before `start`; MKV and WebM show them, and the audio is
    delayed to match. A part may end up to three frames late if its last frames depend on them.

    Args:
        video: any video file.
        waveform: `2 n`, float in -1..1.
        sample_rate: Hz.
        output: ends in one of `VIDEO_SUFFIXES`; sound is Opus in WebM, else AAC.
        start: seconds after the first frame's appearance.
        seconds: length of the part; None copies to the end.
        options: what is copied, and who sees the progress.

    Raises:
        PictureError: the picture cannot be copied into this container.
        MediaError: the video cannot be read, or the output cannot be written.
        SettingsError: a value out of range, an unknown suffix, or `output` is `video`.
    """
    video, output = Path(video), Path(output)
    check_waveform(waveform, (2,))
    piece = _Piece.of(video, output, start, seconds)
    suffix = output.suffix.lower()
    sound = _sound(waveform, sample_rate, piece, suffix)
    with replacing(output) as file:
        end = _write(video, suffix, file, piece.span, sound, options=options)
        if not is_mp4_like(suffix):
            set_matroska_duration(file, end)


@dataclass(frozen=True)
class _Piece:
    """What is copied, and where the sound lies on it, in seconds."""

    span: Span
    wait: Fraction  # of the sound
    seconds: Fraction  # of the sound, at most

    @staticmethod
    def of(
        video: Path, output: Path, start: Fraction | float, seconds: Fraction | float | None
    ) -> "_Piece":
        begin, length = exact_piece(start, seconds)
        suffix = _suffix(output)
        if is_same_file(video, output):
            raise SettingsError(
                f"{output.name} is the input video and would be overwritten. Choose another output."
            )
        with open_media(video) as container:
            check_picture(picture_stream(container, video.name), video, suffix)
        with PictureReader(video) as reader:
            if not reader.has_times:
                raise untimed(video)
            origin, end = reader.packet_origin, reader.end()
            cut = reader.shown_at(begin) if 0 < begin < end else Fraction(0)
        if begin >= end:
            raise SettingsError(
                f"start is {float(start):g} s, but {video.name} ends at {float(end):.3f} s. Use an "
                "earlier start."
            )
        stop = end if length is None else min(end, begin + length)
        # Cut at a frame, as players differ in how they show a cut within one; the audio waits.
        span = Span(origin + cut, origin + stop, begin == 0)
        return _Piece(span, begin - cut, stop - begin)


def _write(
    video: Path,
    suffix: str,
    target: Path | None,
    span: Span,
    sound: "_Sound",
    *,
    options: MuxOptions,
) -> Fraction:
    """Write the copy to `target`, or nowhere; returns the second at which it ends."""
    with open_media(video) as source:
        settings = muxer_options(
            suffix, kept_metadata(source.metadata), index_first=target is not None
        )
        with open_output(target, FORMATS[suffix], settings) as container:
            copy = _Copy(source, container, video, suffix)
            copy.declare(sound, options.keep_audio)
            copy.write(sound, span, options)
    return copy.end


@dataclass(frozen=True)
class _Sound:
    """The sound to encode, and its codec."""

    codec: AudioCodec
    waveform: Tensor  # `2 n`
    sample_rate: int  # Hz, of the waveform
    wait: Fraction  # seconds of silence before it
    seconds: Fraction  # of it, at most

    @property
    def rate(self) -> int:
        """Of the encoded sound, Hz."""
        return self.codec.rate(self.sample_rate)

    def packets(self, stream: av.AudioStream) -> Iterator[av.Packet]:
        """The encoded packets, as they are requested."""
        first = 0
        for block in self._blocks():
            for frame in audio_frames(block, self.rate, self.codec.sample_format, first):
                yield from stream.encode(frame)
            first += block.shape[-1]
        yield from stream.encode(None)

    def _blocks(self) -> Iterator[np.ndarray]:
        """The samples in blocks, so that no other copy of a long sound is held."""
        yield np.zeros((2, round(self.wait * self.rate)), np.float32)
        left = round(self.seconds * self.rate)
        for part in resample_blocks(self.waveform, self.sample_rate, self.rate, BLOCK):
            block = part[:, :left].detach().cpu().float().clamp(-1, 1).numpy()
            left -= block.shape[-1]
            yield block


def _sound(waveform: Tensor, sample_rate: int, piece: _Piece, suffix: str) -> _Sound:
    """The sound at a rate of the container's codec, on the piece."""
    codec = OPUS if suffix == ".webm" else AAC
    return _Sound(codec, waveform, sample_rate, piece.wait, piece.seconds)


class _Copy:
    """One source being copied into one target."""

    def __init__(
        self,
        source: av.container.InputContainer,
        target: av.container.OutputContainer,
        video: Path,
        suffix: str,
    ) -> None:
        self.source, self.target, self.video, self.suffix = source, target, video, suffix
        self.picture = picture_stream(source, video.name)
        self.copies: dict[int, av.stream.Stream] = {}  # by the source stream's index
        self.end = Fraction(0)  # of the last packet written

    def declare(self, sound: _Sound, keep_audio: bool) -> None:
        """Add the streams of the copy: the picture, the new sound and all others."""
        self.copies[self.picture.index] = copy_stream(self.target, self.picture)
        made = self.target.add_stream(sound.codec.encoder, rate=sound.rate, layout="stereo")
        self.sound = cast(av.AudioStream, made)
        self.sound.bit_rate = sound.codec.bit_rate
        self.sound.codec_context.format = sound.codec.sample_format
        self.sound.disposition = Disposition.default.value
        for stream in self.source.streams:
            if stream.index == self.picture.index or (stream.type == "audio" and not keep_audio):
                continue
            copy = add_other(self.target, stream, self.video, self.suffix)
            if copy is not None:
                self.copies[stream.index] = copy
        self.target.metadata.update(kept_metadata(self.source.metadata))

    def write(self, sound: _Sound, span: Span, options: MuxOptions) -> None:
        """Mux picture and sound side by side."""
        tick = time_base(self.picture)
        shift = round(span.start / tick) * tick  # one shift for all streams keeps them in sync
        copy_chapters(self.source, self.target, shift, span.end)
        try:
            self.target.start_encoding()  # raises if the container refuses a stream
        except (ValueError, av.error.FFmpegError) as error:
            raise PictureError(
                f"{self.suffix} files cannot store all streams of {self.video.name} ({error}). "
                "Choose another suffix."
            ) from error
        ours = sound.packets(self.sound)
        waiting = next(ours, None)
        packets = Source(self.source, self.picture, self.video).packets(
            [*self.copies], span, run_up=is_mp4_like(self.suffix), exact=options.exact
        )
        for packet in self._warn_of_early_frames(packets, span):
            self._move(packet, shift)
            while waiting is not None and shown(waiting) <= decoded(packet):
                self._mux(waiting)
                waiting = next(ours, None)
            self._mux(packet)
            options.on_progress(min(1.0, float(self.end / (span.end - span.start))))
        for packet in chain([waiting] if waiting is not None else [], ours):
            self._mux(packet)

    def _mux(self, packet: av.Packet) -> None:
        length = packet.duration or 0
        self.end = max(self.end, shown(packet) + length * packet.time_base)
        self.target.mux(packet)

    def _warn_of_early_frames(
        self, packets: Iterator[av.Packet], span: Span
    ) -> Iterator[av.Packet]:
        """Warn if frames before the start are shown, as Matroska cannot hide them."""
        reported = is_mp4_like(self.suffix)
        for packet in packets:
            if not reported and packet.stream.index == self.picture.index:
                reported, early = True, span.start - shown(packet)
                if early > 0:
                    log.warning(
                        "%s files must start at a keyframe: the video starts %.3f s early, and "
                        "the audio is delayed to match. MP4 and MOV files start on time.",
                        self.suffix,
                        early,
                    )
            yield packet

    def _move(self, packet: av.Packet, shift: Fraction) -> None:
        """Give a packet to its copy's stream, on the copy's time."""
        ticks = 0 if is_cover(packet.stream) else round(shift / packet.time_base)
        pts, dts = packet.pts, packet.dts
        packet.pts = (pts if pts is not None else dts or 0) - ticks
        packet.dts = (dts if dts is not None else pts or 0) - ticks
        packet.stream = self.copies[packet.stream.index]


def _suffix(output: Path) -> str:
    suffix = output.suffix.lower()
    if suffix not in VIDEO_SUFFIXES:
        raise SettingsError(
            f"{output.name} has the unsupported suffix '{suffix}': video can be written as "
            f"{', '.join(VIDEO_SUFFIXES)}."
        )
    return suffix
