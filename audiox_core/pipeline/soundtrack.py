"""Generated audio, its mix with the sound of its video, and the file that it is written to."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..errors import SettingsError
from ..media.audio import write_audio
from ..media.clip import Clip, clip_from_file
from ..media.formats import VIDEO_SUFFIXES
from ..media.mastering import master
from ..media.mix import mix
from ..media.mux import MuxOptions, mux_soundtrack
from ..media.sound import Sound
from ..paths import local_path
from .decode import limit_peak
from .request import Request

logger = logging.getLogger(__name__)

LAST = 0.98  # share of writing a video after which the file is finished and moved


@dataclass(frozen=True, repr=False)
class Soundtrack(Sound):
    """Generated audio and the video file that it was generated for."""

    waveform: Tensor  # `2 n`
    video: Path | None = None
    start: float = 0.0  # seconds into the video
    trimmed: bool = False  # it belongs to a part of the video, not to all of it

    def __repr__(self) -> str:
        of = "" if self.video is None else f" for {self.video.name}"
        return f"Soundtrack({self.seconds:.2f} s at {self.sample_rate} Hz{of})"

    def save(self, path: str | Path, on_progress: Callable[[float], None] = lambda _: None) -> None:
        """Write the audio alone, or a copy of the video with this audio.

        An existing file is replaced when the new one is complete.

        Args:
            path: of the file; `.mp4`, `.mov`, `.mkv` and `.webm` are videos, `.wav`, `.flac`,
                `.mp3`, `.m4a`, `.ogg` and `.opus` audio.
            on_progress: called with the share that is written, 0..1.

        Raises:
            MediaError: the file cannot be written, or its container cannot store the video stream.
            SettingsError: the file is a video and the sound was generated without a video file.
        """
        path = local_path(path)
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            write_audio(path, self.waveform, self.sample_rate)
        elif self.video is None:
            raise SettingsError(
                f"{path.name} is a video file, but the audio was generated without a video file: "
                "pass the path of one, or write an audio file such as .wav."
            )
        else:
            start, seconds = (self.start, self.seconds) if self.trimmed else (0.0, None)
            mux_soundtrack(
                self.video,
                self.waveform,
                self.sample_rate,
                path,
                start=start,
                seconds=seconds,
                options=MuxOptions(on_progress=lambda done: on_progress(LAST * done)),
            )
        on_progress(1.0)


def mixed(waveform: Tensor, sample_rate: int, request: Request) -> Tensor:
    """Mix generated audio with the sound of its video and bring it to a loudness, as requested.

    Args:
        waveform: `2 n`.
        sample_rate: Hz.
        request: whose gain, keep_original, duck and lufs are used.

    Returns:
        `2 n`; without these settings the audio stays as it is.
    """
    original = None
    if request.keep_original is not None and request.video is not None:
        seconds = waveform.shape[-1] / sample_rate
        original = _original(request, sample_rate, seconds)
        if original is None:
            video = request.video
            name = video.name if isinstance(video, Clip) else Path(video).name
            logger.warning("%s has no audio here: nothing is mixed.", name)
    sound = mix(
        waveform,
        original,
        sample_rate,
        gain_db=request.gain,
        original_db=request.keep_original or 0.0,
        duck_db=request.duck,
    )
    if request.lufs is None:
        return limit_peak(sound)
    mastered = master(sound, sample_rate, request.lufs, loop=request.loop)
    if not mastered.reached:
        logger.warning("%s", mastered.shortfall(request.lufs))
    return mastered.waveform


def _original(request: Request, sample_rate: int, seconds: float) -> Tensor | None:
    """The video's own audio below the generated one, `2 n`; None if there is none."""
    if not isinstance(request.video, Clip):
        path = local_path(str(request.video))
        return clip_from_file(path, start=request.start, seconds=seconds).sound(sample_rate)
    sound = request.video.sound(sample_rate)
    first = round(request.start * sample_rate)
    piece = None if sound is None else sound[:, first : first + round(seconds * sample_rate)]
    return None if piece is None or not piece.shape[-1] else piece
