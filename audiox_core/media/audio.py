"""Read the audio of any file as a stereo tensor, and write audio files.

`c` is channels, `n` samples; waveforms are float32 in -1..1.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from math import floor, gcd, isfinite
from pathlib import Path
from typing import cast

import av.container
import torch
from torch import Tensor

from ..errors import AudioEndedError, MediaError, SettingsError
from ..paths import local_path
from .audio_frames import audio_frames
from .decode import Block, stereo_blocks
from .files import exact_piece, open_media, open_output, replacing, seek, time_base
from .formats import AUDIO_FORMATS, AUDIO_SUFFIXES
from .resample import resample, resample_blocks
from .timeline import PictureReader, is_cover
from .truncation import refuse_cut_matroska

_RUN_UP = Fraction(1)  # seconds decoded before a piece: codecs build on what came before
_MARGIN = Fraction(1, 10)  # seconds on both sides of a piece, for the resampler's filter
_PROMISING_FORMATS = ("wav", "w64", "flac", "aiff", "mov")  # whose header says the length exactly
_CUT_OFF = Fraction(1, 2)  # seconds missing of that length
_CUT_OFF_BYTES = 1 << 10  # missing of a WAV file; some writers count a few wrong
_LONGEST_GAP = 3_600  # seconds of silence that are filled in; more is a wrong timestamp
_UNKNOWN_SIZE = 0x7FFF0000
BLOCK = 1 << 16  # samples that are converted at once when they are written


def read_audio(
    path: Path, *, sample_rate: int = 44_100, start: float = 0.0, seconds: float | None = None
) -> Tensor:
    """Read the audio of an audio or video file, or a part of it.

    Time 0 is the first frame of a video, or else the first sample. If the audio starts later than
    that, silence is added before it; nothing is added at its end. More than two channels are mixed
    to stereo; a single channel is copied to both.

    Args:
        path: any container and codec that FFmpeg reads.
        sample_rate: Hz of the result.
        start: seconds.
        seconds: length of the piece; None reads to the end.

    Returns:
        `2 n`, float32; `n` is `round(seconds * sample_rate)` or less where the sound ends before.

    Raises:
        MediaError: the file cannot be read, is truncated, has no audio, has NaN or infinite
            samples, or ends before `start`.
        SettingsError: a value out of range.
    """
    path = local_path(path)
    begin, length = exact_piece(start, seconds)
    if sample_rate < 1:
        raise SettingsError(f"sample_rate is {sample_rate} Hz: it must be above 0.")
    clock = _clock(path)
    # The resampler starts where a sample of the file and one of the result fall together: a
    # piece is then the same, sample by sample, as the cut from the whole.
    step = clock.rate // gcd(clock.rate, sample_rate)
    from_sample = max(floor((begin - _MARGIN) * clock.rate), 0) // step * step
    stop = None if length is None else floor((begin + length + _MARGIN) * clock.rate)
    native = _read_samples(path, clock, from_sample, stop)
    lead = round(begin * sample_rate) - from_sample // step * (sample_rate * step // clock.rate)
    count = None if length is None else round(length * sample_rate)
    waveform = resample(native, clock.rate, sample_rate)[:, lead:][:, :count]
    if not waveform.shape[-1]:
        end = float(Fraction(from_sample + native.shape[-1], clock.rate))
        raise AudioEndedError(
            f"{path.name} has no audio after {start:g} s: it ends at {end:.3f} s. Use an "
            "earlier start."
            if native.shape[-1]
            else f"{path.name} has no audio after {start:g} s. Use an earlier start."
        )
    return waveform.contiguous()


def sample_peak(waveform: Tensor) -> float:
    """The largest magnitude of all samples; NaN or infinite if one of them is.

    Args:
        waveform: float, at least one sample.
    """
    # `abs` would copy all samples, and so would `aminmax` those of a part of a longer sound
    return max(-waveform.amin().item(), waveform.amax().item())


def peak_normalize(waveform: Tensor, *, in_place: bool = False) -> Tensor:
    """Scale each item so that its largest sample is 1; silence stays silence.

    Args:
        waveform: `... c n`, float.
        in_place: overwrite it.
    """
    axes = (-2, -1)
    peak = torch.maximum(waveform.amax(axes, keepdim=True), -waveform.amin(axes, keepdim=True))
    peak = torch.where(peak > 0, peak, torch.ones_like(peak))
    return waveform.div_(peak) if in_place else waveform / peak


def to_int16(waveform: Tensor) -> Tensor:
    """Clip to -1..1 and scale to 16 bits, rounding towards 0.

    This is how the original implementation rounds.
    """
    return (waveform.clamp(-1, 1) * 32_767).to(torch.int16)


def write_audio(path: Path, waveform: Tensor, sample_rate: int) -> None:
    """Write an audio file; an existing one is replaced when the new one is complete.

    WAV and FLAC have 16 bits, MP3 and AAC (`.m4a`) 256 kbit/s, Opus (`.ogg`, `.opus`) 192 kbit/s.
    Players leave out what encoders add at both ends, so the file has the length of the waveform. A
    rate that the codec cannot store is converted to 48 kHz, which is every rate with Opus.

    Args:
        path: ends in one of `AUDIO_SUFFIXES`.
        waveform: `c n`, one or two channels; values are clipped to -1..1.
        sample_rate: Hz.

    Raises:
        SettingsError: another suffix, or a waveform of another shape.
        MediaError: the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in AUDIO_SUFFIXES:
        raise SettingsError(
            f"{path.name} has the unsupported suffix '{suffix}': audio can be written as "
            f"{', '.join(AUDIO_SUFFIXES)}."
        )
    check_waveform(waveform, (1, 2))
    kind, codec = AUDIO_FORMATS[suffix]
    rate, first = codec.rate(sample_rate), 0
    with replacing(path) as temporary, open_output(temporary, kind) as container:
        stream = cast(av.AudioStream, container.add_stream(codec.encoder, rate=rate))
        stream.layout = "mono" if len(waveform) == 1 else "stereo"
        stream.codec_context.format = codec.sample_format
        if codec.bit_rate is not None:
            stream.bit_rate = codec.bit_rate
        for part in resample_blocks(waveform, sample_rate, rate, BLOCK):
            block = part.detach().cpu().float()
            block = block.clamp(-1, 1) if codec.bit_rate is not None else to_int16(block)
            for frame in audio_frames(block.numpy(), rate, codec.sample_format, first):
                container.mux(stream.encode(frame))
            first += block.shape[-1]
        container.mux(stream.encode(None))


def check_waveform(waveform: Tensor, channels: tuple[int, ...]) -> None:
    """Check the shape and the values of a waveform.

    Args:
        waveform: `c n`.
        channels: allowed values of `c`.

    Raises:
        SettingsError: not `c n` with `c` among `channels`, no samples, NaN or infinite ones.
    """
    shape = tuple(waveform.shape)
    if len(shape) != 2 or shape[0] not in channels or not shape[1]:
        raise SettingsError(
            f"The waveform is {shape}: expected (channels, samples) with "
            f"{' or '.join(map(str, channels))} channels and at least one sample."
        )
    if not isfinite(sample_peak(waveform)):
        raise SettingsError(
            "The waveform contains NaN or infinite samples. Generate it again in a higher "
            "precision."
        )


@dataclass(frozen=True)
class _Clock:
    """Where a file's sound lies in time, in the container's own seconds."""

    rate: int  # Hz
    origin: Fraction  # what counts as 0 s
    first: Fraction  # the first sample
    first_end: Fraction  # the end of the first packet's samples


def _clock(path: Path) -> _Clock:
    with open_media(path) as container:
        stream = _audio_stream(container, path.name)
        moving = any(not is_cover(stream) for stream in container.streams.video)
        block = next(stereo_blocks(container, stream, path.name), None)
    if block is None:
        raise AudioEndedError(f"{path.name} has an empty audio track. Export it again.")
    origin = _picture_origin(path, block.time) if moving else block.time
    return _Clock(block.rate, origin, block.time, block.end)


def _picture_origin(path: Path, otherwise: Fraction) -> Fraction:
    try:
        with PictureReader(path) as reader:
            return reader.packet_origin if reader.has_times else otherwise
    except MediaError:  # the picture is broken, the sound need not be
        return otherwise


def _audio_stream(container: av.container.InputContainer, name: str) -> av.AudioStream:
    if not container.streams.audio:
        raise MediaError(f"{name} has no audio. Choose a file with an audio track.")
    # phones put a spatial track first that only their own player decodes
    decodable = [stream for stream in container.streams.audio if stream.codec_context]
    if not decodable:
        raise MediaError(
            f"FFmpeg has no decoder for the audio of {name}. Export it with another audio codec, "
            "such as AAC."
        )
    return decodable[0]


def _read_samples(path: Path, clock: _Clock, begin: int, end: int | None) -> Tensor:
    """Samples `begin` to `end` (or the last) at the file's rate, counted from the clock's 0."""
    time = clock.origin + Fraction(begin, clock.rate)
    for seeking in (True, False) if time - clock.first > 2 * _RUN_UP else (False,):
        with open_media(path) as container:
            stream = _audio_stream(container, path.name)
            if seeking and not seek(container, stream, time - _RUN_UP):
                continue
            blocks = stereo_blocks(container, stream, path.name)
            head = next(blocks, None)
            if head is None or (seeking and head.time > time):
                continue  # it cannot be sought in, or no sound lies there: read it all
            blocks = chain([head], blocks)
            samples, last = _join(blocks, _fitted(clock, head, time_base(stream)), begin, end)
            if last is not None:
                _refuse_cut_off(stream, path, last - clock.first)
                samples = samples[:, : _length(stream, clock, begin)]
            _refuse_not_finite(samples, path.name, begin, clock.rate)
            return samples
    return _silence(0)


def _silence(samples: int) -> Tensor:
    return torch.zeros(2, max(samples, 0), dtype=torch.float32)  # whatever the default dtype is


def _fitted(clock: _Clock, head: Block, tick: Fraction) -> _Clock:
    """Where ticks are longer than a sample (Matroska), align `head` with the packets."""
    size = Fraction(head.samples.shape[-1], clock.rate)
    passed = head.time - clock.first_end
    aligned = clock.first_end + round(passed / size) * size
    if tick * clock.rate <= 1 or abs(aligned - head.time) > tick:
        return clock
    return replace(clock, origin=clock.origin + head.time - aligned)


def _join(
    blocks: Iterable[Block], clock: _Clock, begin: int, end: int | None
) -> tuple[Tensor, Fraction | None]:
    """Join blocks to `2 n`, with silence where their times leave a gap.

    The second value is when the last block ends, if the blocks end before `end`.
    """
    parts, filled, last = [_silence(0)], 0, None
    for block in blocks:
        offset = round((block.time - clock.origin) * clock.rate) - begin
        if end is not None and offset >= end - begin:
            parts.append(_silence(end - begin - filled))
            return torch.cat(parts, dim=1)[:, : end - begin], None
        if offset - filled > _LONGEST_GAP * clock.rate:
            raise MediaError(
                f"The audio has a gap of {(offset - filled) / clock.rate:,.0f} s after "
                f"{(begin + filled) / clock.rate:.2f} s. Export the file again."
            )
        last = block.end
        new = block.samples[:, max(filled - offset, 0) :]
        if new.shape[-1]:
            parts += [_silence(offset - filled), new]
            filled = max(offset, filled) + new.shape[-1]
    return torch.cat(parts, dim=1), last


def _length(stream: av.AudioStream, clock: _Clock, begin: int) -> int | None:
    """Samples from `begin` to the end in the MP4 header: the last packet of a codec is padded."""
    if not stream.container.format.name.startswith("mov") or not stream.duration:
        return None
    end = clock.first + stream.duration * time_base(stream) - clock.origin
    return max(round(end * clock.rate) - begin, 0)


def _refuse_cut_off(stream: av.AudioStream, path: Path, seconds: Fraction) -> None:
    """Raise if the file ends before the duration in its header."""
    container = stream.container.format.name
    if container.startswith("matroska"):
        refuse_cut_matroska(path)
    if container == "wav" and _missing_in_wav(path):
        promised = "more"
    elif container.startswith(_PROMISING_FORMATS) and stream.duration:
        length = stream.duration * time_base(stream)
        if seconds >= length - _CUT_OFF:
            return
        promised = f"{float(length):.2f} s"
    else:
        return
    raise MediaError(
        f"{path.name} is truncated: its header says {promised}, but it contains "
        f"{float(seconds):.2f} s. Export or download it again."
    )


def _missing_in_wav(path: Path) -> bool:
    """Whether a RIFF file is shorter than its header says, which FFmpeg does not report."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8)[4:], "little")
    # programs that write into a pipe leave a huge number
    return size < _UNKNOWN_SIZE and path.stat().st_size + _CUT_OFF_BYTES < size


def _refuse_not_finite(samples: Tensor, name: str, begin: int, rate: int) -> None:
    broken = ~samples.isfinite().all(dim=0)
    if broken.any():
        second = (begin + int(broken.int().argmax())) / rate
        raise MediaError(
            f"{name} contains NaN or infinite samples at {second:.3f} s. Export it again, "
            "preferably with 16 or 24 bits."
        )
