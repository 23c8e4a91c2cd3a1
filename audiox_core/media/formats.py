"""The suffixes of the files that can be written, and how their audio is encoded.

Nothing here imports FFmpeg or PyTorch: the command line lists them without waiting.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AudioCodec:
    """How audio is encoded."""

    encoder: str  # FFmpeg's name
    sample_format: str  # FFmpeg's name of the numbers that it takes
    bit_rate: int | None = None  # bits in a second; None: lossless
    rates: tuple[int, ...] = ()  # Hz that it can store; empty: any

    def rate(self, sample_rate: int) -> int:
        """The rate at which audio of a sample rate is stored, in Hz."""
        return sample_rate if not self.rates or sample_rate in self.rates else 48_000


_LOW_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000)
_RATES = (*_LOW_RATES, 32_000, 44_100, 48_000)
AAC = AudioCodec("aac", "fltp", 256_000, _RATES)
MP3 = AudioCodec("libmp3lame", "fltp", 256_000, _RATES)
OPUS = AudioCodec("libopus", "flt", 192_000, (48_000,))  # the one that Opus keeps time in

# of audio files -> FFmpeg's name of the container, and the codec
AUDIO_FORMATS = {
    ".wav": ("wav", AudioCodec("pcm_s16le", "s16")),
    ".flac": ("flac", AudioCodec("flac", "s16")),
    ".mp3": ("mp3", MP3),
    ".m4a": ("ipod", AAC),
    ".ogg": ("ogg", OPUS),
    ".opus": ("ogg", OPUS),
}
AUDIO_SUFFIXES = tuple(AUDIO_FORMATS)
# of copies of a video -> FFmpeg's name of the container
FORMATS = {".mp4": "mp4", ".mov": "mov", ".m4v": "mp4", ".mkv": "matroska", ".webm": "webm"}
VIDEO_SUFFIXES = tuple(FORMATS)
SUFFIXES = (*AUDIO_SUFFIXES, *VIDEO_SUFFIXES)


def copy_suffix(video: str | Path) -> str:
    """The suffix of a copy of a video: its own where it can be written, else `.mkv`."""
    suffix = Path(video).suffix.lower()
    return suffix if suffix in VIDEO_SUFFIXES else ".mkv"
