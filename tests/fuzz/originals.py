"""Small valid media files: containers x codecs, from synthetic pictures and sounds.

The same table row gives the same bytes with the same FFmpeg, so that a mutant can be made again.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import av.error
import numpy as np

os.environ.setdefault("SVT_LOG", "-1")  # its encoder prints a page
SECONDS = 1.2
H264 = {"bf": "3", "g": "12", "preset": "veryfast", "threads": "1", "x264-params": "b-pyramid=2"}
ENCODER_OPTIONS = {
    "libx264": H264,
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "threads": "1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "threads": "1"},
    "mpeg2video": {"bf": "2", "g": "10"},
    "mpeg4": {"bf": "1", "g": "10"},
    "vorbis": {"strict": "experimental"},
}
TAGS = {"title": "a \x1b[31mred\x1b[0m title", "comment": "two\nlines\r\nof text"}


@dataclass(frozen=True)
class Original:
    """A kind of file."""

    suffix: str
    container: str  # FFmpeg's name of the muxer; "": the bytes of a single picture
    video: str = ""  # encoders
    audio: str = ""
    rate: int = 48_000  # Hz
    layout: str = "stereo"
    pixels: str = ""  # pixel format; "": the first one of the encoder
    size: tuple[int, int] = (96, 64)  # pixels, width and height
    tags: bool = False
    seconds: float = SECONDS

    @property
    def kind(self) -> str:
        """Its row in a table."""
        return " ".join(part for part in (self.suffix[1:], self.video, self.audio) if part)


ORIGINALS = (
    Original(".mp4", "mp4", "libx264", "aac"),
    Original(".mp4", "mp4", "libx264", "aac", 44_100, "5.1", tags=True),
    Original(".mp4", "mp4", "libx264", "", pixels="yuv420p10le"),
    Original(".mp4", "mp4", "libx265", "aac"),
    Original(".mp4", "mp4", "mpeg4", "libmp3lame"),
    Original(".mp4", "mp4", "libvpx-vp9", "libopus"),
    Original(".mp4", "mp4", "libsvtav1", "flac"),
    Original(".mov", "mov", "libx264", "pcm_s16le"),
    Original(".mov", "mov", "prores_ks", "pcm_s24le"),
    Original(".mov", "mov", "mjpeg", "alac"),
    Original(".mov", "mov", "qtrle", "pcm_s16be", pixels="argb"),
    Original(".mkv", "matroska", "libx264", "flac", tags=True),
    Original(".mkv", "matroska", "libx264", "vorbis"),
    Original(".mkv", "matroska", "mpeg2video", "ac3", layout="5.1"),
    Original(".mkv", "matroska", "ffv1", "pcm_f32le"),
    Original(".mkv", "matroska", "mpeg4", "libopus"),
    Original(".webm", "webm", "libvpx", "vorbis"),
    Original(".webm", "webm", "libvpx-vp9", "libopus"),
    Original(".webm", "webm", "libvpx-vp9", "", pixels="yuva420p"),
    Original(".avi", "avi", "mpeg4", "libmp3lame"),
    Original(".avi", "avi", "libx264", "pcm_s16le"),
    Original(".avi", "avi", "mjpeg", "pcm_u8", 8_000, "mono"),
    Original(".avi", "avi", "rawvideo", "ac3", pixels="bgr24"),
    Original(".ts", "mpegts", "libx264", "aac"),
    Original(".ts", "mpegts", "mpeg2video", "mp2"),
    Original(".m2ts", "mpegts", "libx264", "ac3"),
    Original(".mpg", "mpeg", "mpeg2video", "mp2"),
    Original(".mpg", "mpeg", "mpeg1video", "mp2", 44_100),
    Original(".flv", "flv", "flv", "libmp3lame", 44_100),
    Original(".flv", "flv", "libx264", "aac", 44_100),
    Original(".wmv", "asf", "wmv2", "wmav2", 44_100),
    Original(".wmv", "asf", "msmpeg4", "wmav1", 44_100, "mono"),
    Original(".gif", "gif", "gif"),
    Original(".3gp", "3gp", "libx264", "aac"),
    Original(".3gp", "3gp", "h263", "aac", 22_050, size=(176, 144)),
    Original(".webp", "webp", "libwebp_anim"),
    Original(".h264", "h264", "libx264"),
    Original(".wav", "wav", "", "pcm_s16le"),
    Original(".wav", "wav", "", "pcm_s16le", layout="5.1"),
    Original(".wav", "wav", "", "pcm_f32le", 44_100),
    Original(".wav", "wav", "", "pcm_u8", 8_000, "mono"),
    Original(".wav", "wav", "", "adpcm_ima_wav", 22_050),
    Original(".w64", "w64", "", "pcm_s24le"),
    Original(".aiff", "aiff", "", "pcm_s16be"),
    Original(".flac", "flac", "", "flac"),
    Original(".flac", "flac", "", "flac", 44_100, "5.1", tags=True),
    Original(".mp3", "mp3", "", "libmp3lame"),
    Original(".mp3", "mp3", "", "libmp3lame", 22_050, "mono", tags=True),
    Original(".ogg", "ogg", "", "vorbis"),
    Original(".opus", "ogg", "", "libopus"),
    Original(".m4a", "ipod", "", "aac"),
    Original(".m4a", "ipod", "", "alac", 44_100),
    Original(".aac", "adts", "", "aac"),
    Original(".wma", "asf", "", "wmav2", 44_100),
    Original(".png", "", "png"),
    Original(".png", "", "png", pixels="rgba"),
    Original(".png", "", "png", pixels="gray16be"),
    Original(".jpg", "", "mjpeg"),
    Original(".webp", "", "libwebp"),
    Original(".bmp", "", "bmp"),
    Original(".tiff", "", "tiff"),
)


def available() -> tuple[Original, ...]:
    """The originals that this FFmpeg can make."""
    return tuple(o for o in ORIGINALS if all(_encoder(n) for n in (o.video, o.audio) if n))


@cache
def content(original: Original) -> bytes:
    """The bytes of a valid file."""
    if not original.container:
        return _picture(original)
    file = io.BytesIO()
    options = {"fflags": "+bitexact"}
    with av.open(file, "w", format=original.container, options=options) as container:
        if original.tags:
            container.metadata.update(TAGS)
        packets = []
        if original.video:
            packets += _video(container, original)
        if original.audio:
            packets += _audio(container, original)
        for packet in sorted(packets, key=lambda p: (p.dts or 0) * p.time_base):
            container.mux(packet)
    return file.getvalue()


@cache
def _encoder(name: str) -> "av.Codec | None":
    try:
        return av.Codec(name, "w")
    except (ValueError, av.error.FFmpegError):
        return None


def _frames(original: Original, fps: int) -> Iterator[av.VideoFrame]:
    """A bright square that moves over a gradient."""
    width, height = original.size
    codec = _encoder(original.video)
    pixels = original.pixels or codec.video_formats[0].name
    y, x = np.mgrid[:height, :width]
    for index in range(int(original.seconds * fps)):
        picture = np.stack([x * 255 // width, y * 255 // height, (x + 5 * index) % 256], axis=-1)
        picture[10:30, 3 * index % width : 3 * index % width + 20] = 250
        frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), "rgb24")
        frame = frame.reformat(format=pixels)
        frame.pts, frame.time_base = index, Fraction(1, fps)
        yield frame


def _picture(original: Original) -> bytes:
    frame = next(_frames(original, 25))
    context = av.CodecContext.create(original.video, "w")
    context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
    context.time_base = Fraction(1, 25)
    return b"".join(bytes(p) for p in (*context.encode(frame), *context.encode(None)))


def _video(container: av.container.OutputContainer, original: Original) -> list[av.Packet]:
    fps = 25
    frames = [*_frames(original, fps)]
    options = ENCODER_OPTIONS.get(original.video, {})
    stream = container.add_stream(original.video, rate=fps, options=options)
    stream.width, stream.height = original.size
    stream.pix_fmt = frames[0].format.name
    stream.codec_context.time_base = Fraction(1, fps)
    return [packet for frame in (*frames, None) for packet in stream.encode(frame)]


def _audio(container: av.container.OutputContainer, original: Original) -> list[av.Packet]:
    """A tone that is louder and softer; the channels differ."""
    options = ENCODER_OPTIONS.get(original.audio, {})
    stream = container.add_stream(
        original.audio, rate=original.rate, layout=original.layout, options=options
    )
    stream.bit_rate = 128_000
    channels = len(stream.layout.channels)
    seconds = np.arange(int(original.seconds * original.rate)) / original.rate
    pitches = 220.0 * np.arange(1, channels + 1)[:, None]
    samples = 0.4 * np.sin(2 * np.pi * pitches * seconds) * (0.6 + 0.4 * np.sin(9 * seconds))
    packets = []
    for begin in range(0, samples.shape[1], 1_024):
        part = np.ascontiguousarray(samples[:, begin : begin + 1_024], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(part, "fltp", original.layout)
        frame.sample_rate, frame.pts = original.rate, begin
        frame.time_base = Fraction(1, original.rate)
        packets += stream.encode(frame)
    return packets + stream.encode(None)
