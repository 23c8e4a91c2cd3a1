"""Copy a video with a new soundtrack; the video stream is not re-encoded.

Time 0 of the copy is the first frame, or `start`: video packets are copied unchanged, and only
their timestamps move.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import ceil, floor
from pathlib import Path
from typing import cast

import av.container
import av.error
import av.stream
import numpy as np
from av.stream import Disposition
from torch import Tensor
from torch.nn.functional import pad

from ..errors import MediaError, SettingsError
from .audio import check_waveform
from .audio_frames import audio_frames
from .files import exact_piece, is_same_file, open_media, open_output, replacing, seek, time_base
from .resample import resample
from .streams import (
    FORMATS,
    add_other,
    check_picture,
    copy_chapters,
    copy_stream,
    is_mp4_like,
    kept_metadata,
    muxer_options,
)
from .timeline import PictureReader, is_cover, packet_time, picture_stream
from .truncation import set_matroska_duration

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = tuple(FORMATS)

_AAC_BIT_RATE = 256_000
_OPUS_BIT_RATE = 192_000
_OPUS_RATE = 48_000  # Hz, the one that Opus keeps time in
_AAC_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_INTERLEAVE = Fraction(2)  # seconds by which streams may lie apart in a file
_AUDIO_RUN_UP = Fraction(1, 10)  # seconds
_STEPS_BACK = (0, 1, 5, 30)  # seconds; some containers land behind the wanted keyframe


def check_mux(video: Path, output: Path) -> None:
    """Check that `output` can store the video stream of `video`, before anything is computed.

    Raises:
        MediaError: `video` cannot be read, or the container of `output` cannot store its codec.
        SettingsError: an unknown suffix, or both are the same file.
    """
    video, output = Path(video), Path(output)
    suffix = _suffix(output)
    if is_same_file(video, output):
        raise SettingsError(
            f"{output.name} is the input video and would be overwritten. Choose another output."
        )
    with open_media(video) as source:
        check_picture(picture_stream(source, video.name), video, suffix)


def mux_soundtrack(
    video: Path,
    waveform: Tensor,
    sample_rate: int,
    output: Path,
    *,
    start: float = 0.0,
    seconds: float | None = None,
    keep_audio: bool = False,
) -> None:
    """Write a copy of a video, or of a piece of it, with a new soundtrack.

    The audio starts with the first frame (or at `start`) and is cut at the end of the video.
    Subtitles, chapters, covers, tags, rotation and further video streams are copied; what the
    container cannot store is left out with a warning. A part starts at the keyframe at or before
    `start`: MP4 and MOV hide the frames before `start`; MKV and WebM show them, and the audio is
    delayed to match. A part may end one or two frames late if its last frames depend on them.

    Args:
        video: any video file.
        waveform: `2 n`, float in -1..1.
        sample_rate: Hz.
        output: ends in one of `VIDEO_SUFFIXES`; sound is Opus in WebM, else AAC.
        start: seconds after the first frame's appearance.
        seconds: length of the part; None copies to the end.
        keep_audio: keep the audio of the video as further tracks that are not played by default.

    Raises:
        MediaError: the video cannot be read, the container cannot store its codec, or the output
            cannot be written.
        SettingsError: a value out of range, an unknown suffix, or `output` is `video`.
    """
    video, output = Path(video), Path(output)
    begin, length = exact_piece(start, seconds)
    check_waveform(waveform, (2,))
    check_mux(video, output)
    with PictureReader(video) as reader:
        if not reader.has_times:
            raise _untimed(video)
        origin, end = reader.packet_origin, reader.end()
        cut = reader.shown_at(begin) if 0 < begin < end else Fraction(0)
    if begin >= end:
        raise SettingsError(
            f"start is {start:g} s, but {video.name} ends at {float(end):.3f} s. Use an earlier "
            "start."
        )
    stop = end if length is None else min(end, begin + length)
    suffix = _suffix(output)
    # Cut at a frame, as players differ in how they show a cut within one; the audio is delayed.
    codec = "opus" if suffix == ".webm" else "aac"
    sound = _sound(waveform, sample_rate, stop - begin, begin - cut, codec)
    with replacing(output) as temporary, open_media(video) as source:
        options = muxer_options(suffix, kept_metadata(source.metadata))
        with open_output(temporary, FORMATS[suffix], options) as target:
            copy = _Copy(source, target, video, suffix)
            copy.declare(sound, keep_audio)
            copy.write(sound, _Span(origin + cut, origin + stop, begin == 0))
        if not is_mp4_like(suffix):
            set_matroska_duration(temporary, copy.end)


@dataclass(frozen=True)
class _Span:
    """The part that is copied, in seconds of the source."""

    start: Fraction
    end: Fraction
    from_beginning: bool  # including packets before the first frame


@dataclass(frozen=True)
class _Sound:
    """The sound to encode: stereo samples from time 0 on."""

    encoder: str
    bit_rate: int
    sample_format: str
    rate: int  # Hz
    samples: np.ndarray  # `2 n`

    def packets(self, stream: av.AudioStream) -> Iterator[av.Packet]:
        """The encoded packets, as they are requested."""
        for frame in audio_frames(self.samples, self.rate, self.sample_format):
            yield from stream.encode(frame)
        yield from stream.encode(None)


def _sound(
    waveform: Tensor, sample_rate: int, seconds: Fraction, wait: Fraction, codec: str
) -> _Sound:
    """Resample to a rate of the codec: `wait` seconds of silence, then at most `seconds`."""
    opus = codec == "opus"
    known = (_OPUS_RATE,) if opus else _AAC_RATES
    rate = sample_rate if sample_rate in known else _OPUS_RATE
    samples = resample(waveform.detach().cpu().float(), sample_rate, rate)
    samples = pad(samples[:, : round(seconds * rate)].clamp(-1, 1), (round(wait * rate), 0)).numpy()
    if opus:
        return _Sound("libopus", _OPUS_BIT_RATE, "flt", rate, samples)
    return _Sound("aac", _AAC_BIT_RATE, "fltp", rate, samples)


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
        made = self.target.add_stream(sound.encoder, rate=sound.rate, layout="stereo")
        self.sound = cast(av.AudioStream, made)
        self.sound.bit_rate = sound.bit_rate
        self.sound.codec_context.format = sound.sample_format
        self.sound.disposition = Disposition.default.value
        for stream in self.source.streams:
            if stream.index == self.picture.index or (stream.type == "audio" and not keep_audio):
                continue
            copy = add_other(self.target, stream, self.video, self.suffix)
            if copy is not None:
                self.copies[stream.index] = copy
        self.target.metadata.update(kept_metadata(self.source.metadata))

    def write(self, sound: _Sound, span: _Span) -> None:
        """Mux picture and sound side by side."""
        tick = time_base(self.picture)
        shift = round(span.start / tick) * tick  # one shift for all streams keeps them in sync
        copy_chapters(self.source, self.target, shift, span.end)
        try:
            self.target.start_encoding()  # raises if the container refuses a stream
        except (ValueError, av.error.FFmpegError) as error:
            raise MediaError(
                f"{self.suffix} files cannot store all streams of {self.video.name} ({error}). "
                "Choose another suffix."
            ) from error
        ours = sound.packets(self.sound)
        waiting = next(ours, None)
        packets = _with_decoding_times(self._kept(span), self.picture.index)
        for packet in self._warn_of_early_frames(packets, span):
            self._move(packet, shift)
            while waiting is not None and _shown(waiting) <= _decoded(packet):
                self._mux(waiting)
                waiting = next(ours, None)
            self._mux(packet)
        for packet in chain([waiting] if waiting is not None else [], ours):
            self._mux(packet)

    def _mux(self, packet: av.Packet) -> None:
        length = packet.duration or 0
        self.end = max(self.end, _shown(packet) + length * packet.time_base)
        self.target.mux(packet)

    def _warn_of_early_frames(
        self, packets: Iterator[av.Packet], span: _Span
    ) -> Iterator[av.Packet]:
        """Warn if frames before the start are shown, as Matroska cannot hide them."""
        reported = is_mp4_like(self.suffix)
        for packet in packets:
            if not reported and packet.stream.index == self.picture.index:
                reported, early = True, span.start - _shown(packet)
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

    def _kept(self, span: _Span) -> Iterator[av.Packet]:
        """The packets to copy, in the file's order, still on the source's time."""
        beyond: list[av.Packet] = []  # shown after the end, but a later packet may need them
        for packet in self._packets(span):
            if packet.stream.index != self.picture.index:
                if is_cover(packet.stream) or _overlaps(packet, span, is_mp4_like(self.suffix)):
                    yield packet
                continue
            self._refuse_untimed(packet)
            decoded = _decoded(packet)
            if decoded >= span.end + _INTERLEAVE:
                break
            if decoded < span.end:
                beyond.append(packet)
            if _shown(packet) < span.end:
                yield from beyond
                beyond = []

    def _refuse_untimed(self, packet: av.Packet) -> None:
        reordered = packet.pts is None and self.picture.codec_context.has_b_frames
        if packet_time(packet) is None or reordered:
            raise _untimed(self.video)

    def _packets(self, span: _Span) -> Iterator[av.Packet]:
        """Packets of the copied streams: all, or from the keyframe at or before the start on."""
        streams = [self.source.streams[index] for index in self.copies]
        if span.from_beginning:
            return (packet for packet in self.source.demux(streams) if packet.size)
        return _from_keyframe(self.source, self.picture, streams, span.start)


def _shown(packet: av.Packet) -> Fraction:
    """When a packet is shown; 0 if it has no timestamp."""
    return packet_time(packet) or Fraction(0)


def _decoded(packet: av.Packet) -> Fraction:
    """When a packet is decoded, or else shown."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    return (ticks or 0) * packet.time_base


def _from_keyframe(
    source: av.container.InputContainer,
    picture: av.VideoStream,
    streams: list[av.stream.Stream],
    time: Fraction,
) -> Iterator[av.Packet]:
    """Packets from the picture's last keyframe at or before `time` on."""
    for back in _STEPS_BACK:
        if not seek(source, picture, time - back):
            break
        packets = (packet for packet in source.demux(streams) if packet.size)
        head = []
        for packet in packets:
            head.append(packet)
            if packet.stream.index == picture.index:
                break
        if head and head[-1].is_keyframe and _shown(head[-1]) <= time:
            return chain(head, packets)
    raise MediaError(
        f"{Path(source.name).name} cannot be trimmed: it has no keyframe before "
        f"{float(time):.3f} s. Convert the video to MP4 or MKV first, or start at 0."
    )


def _with_decoding_times(packets: Iterator[av.Packet], picture: int) -> Iterator[av.Packet]:
    """Give the first video packets decoding times, which Matroska does not store."""
    held: list[av.Packet] = []  # until one has a decoding time, which gives those of the others
    without_times: list[av.Packet] = []
    for packet in packets:
        held.append(packet)
        if packet.stream.index == picture:
            if packet.dts is not None:
                _count_back(without_times, packet.dts)
                break
            without_times.append(packet)
    else:
        _count_back(
            without_times, min((packet.pts or 0 for packet in without_times), default=0) + 1
        )
    yield from chain(held, packets)


def _count_back(packets: list[av.Packet], dts: int) -> None:
    """Set decoding times that rise up to `dts` and lie before each packet's presentation."""
    for packet in reversed(packets):
        dts = packet.dts = min(dts - max(packet.duration or 0, 1), packet.pts or 0)


def _overlaps(packet: av.Packet, span: _Span, early: bool) -> bool:
    """Whether a packet beside the picture belongs to the piece; a subtitle is cut to it.

    Args:
        packet: of sound, subtitles or data; changed where it is a subtitle that began before.
        span: the piece.
        early: sound from shortly before the start comes along, which the next packets build on.
    """
    time = packet_time(packet)
    if time is None or time >= span.end:
        return False
    if time >= span.start or span.from_beginning:
        return True
    end = time + (packet.duration or 0) * packet.time_base
    if packet.stream.type == "audio":
        return end > span.start - (_AUDIO_RUN_UP if early else 0)
    if packet.stream.type == "subtitle" and end > span.start:
        packet.pts = packet.dts = ceil(span.start / packet.time_base)
        packet.duration = floor(end / packet.time_base) - packet.pts
        return True
    return False


def _untimed(video: Path) -> MediaError:
    return MediaError(
        f"{video.name} has no timestamps for its frames, so its video stream cannot be copied. "
        "Convert the video to MP4 or MKV first."
    )


def _suffix(output: Path) -> str:
    suffix = output.suffix.lower()
    if suffix not in VIDEO_SUFFIXES:
        raise SettingsError(
            f"{output.name} has the unsupported suffix '{suffix}': video can be written as "
            f"{', '.join(VIDEO_SUFFIXES)}."
        )
    return suffix
