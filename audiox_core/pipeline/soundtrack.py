"""What a run made, and where it goes."""

import logging
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from torch import Tensor

from ..errors import AudioXError, SettingsError
from ..media.audio import peak_normalize, write_audio
from ..media.mux import VIDEO_SUFFIXES, mux_soundtrack

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Soundtrack:
    """What a run made: `waveform` is `2 n`; `video` and `start` say which picture it belongs to."""

    waveform: Tensor
    sample_rate: int
    video: Path | None = None
    start: float = 0.0
    whole: bool = True  # it accompanies the whole video, not a piece of it

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return self.waveform.shape[-1] / self.sample_rate

    def save(self, path: str | Path) -> None:
        """Write `.wav` or `.flac`, or a copy of the video with this sound (`.mp4 .mov .mkv .webm`).

        Raises:
            MediaError: the file cannot be written, or its container cannot hold the picture.
            SettingsError: a video is asked for and there was none.
        """
        path = Path(path)
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            write_audio(path, self.waveform, self.sample_rate)
        elif self.video is None:
            raise SettingsError(
                f"{path.name} is a video and there is no picture for it: "
                "give a video, or write a .wav or .flac file."
            )
        else:
            piece = {} if self.whole else {"start": self.start, "seconds": self.seconds}
            mux_soundtrack(self.video, self.waveform, self.sample_rate, path, **piece)


def audible(waveform: Tensor) -> Tensor:
    """Keep the level, unless it would clip; refuse what is no sound."""
    peak = waveform.abs().max().item()
    if not isfinite(peak):
        raise AudioXError(
            "The model's numbers ran over: use float32, a lower cfg, or another sampler."
        )
    if peak > 1:
        logger.info("The sound peaked at %.2f of full scale and was turned down to 1.", peak)
        return peak_normalize(waveform)
    return waveform
