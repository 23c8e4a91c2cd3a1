"""What a request starts from: its files are opened before a model is needed."""

import logging
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..config import LatentConfig
from ..limits import MAX_SECONDS, check_seconds
from ..media.audio import read_audio
from ..media.clip import Clip, clip_from_file
from .encode import seconds_from
from .init_audio import InitAudio, init_audio, tail
from .request import Request, check_request, check_times

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sources:
    """The opened video and the existing audio of a request, and the length of the result."""

    clip: Clip | None
    init_audio: InitAudio | None
    seconds: float


def open_sources(request: Request, latent_format: LatentConfig) -> Sources:
    """Open the video and the existing audio of a request; they determine the length.

    Args:
        request: inputs and settings.
        latent_format: of the model.

    Raises:
        MediaError: a file cannot be read.
        SettingsError: the length is out of range, or a time is after the end.
    """
    check_request(request)
    clip, seconds = None, request.seconds
    if request.video is not None:
        clip = clip_from_file(request.video, timing=request.timing)
        seconds = seconds_from(clip, request.start, request.seconds)
        if request.seconds is not None and seconds < request.seconds:
            logger.warning(
                "%s ends at %.2f s, so the audio ends there, too.", clip.name, clip.seconds
            )
    known, spans = None, request.inpaint
    if request.init_audio is not None:
        rate = latent_format.sample_rate
        if seconds is not None:
            check_seconds(seconds)
        # a little more than can be used
        longest = (MAX_SECONDS if seconds is None else seconds) + 0.1
        known = read_audio(Path(request.init_audio), sample_rate=rate, seconds=longest)
        length = known.shape[-1] / rate
        seconds = length + request.extend if seconds is None else seconds
        spans = ((length, seconds),) if request.extend else spans
    seconds = latent_format.conditioned_seconds if seconds is None else seconds
    check_seconds(seconds)
    check_times(request, seconds)
    init = None
    if known is not None:
        given = latent_format, spans, seconds
        init = init_audio(known, *given, feather=request.feather)
    return Sources(clip, init, seconds)


def read_audio_prompt(request: Request, latent_format: LatentConfig) -> Tensor:
    """The samples of the audio prompt of a request that are used, `2 n` at the model's rate.

    The prompt of a continuation is the end of the existing audio.

    Raises:
        MediaError: the file cannot be read.
    """
    rate, seconds = latent_format.sample_rate, latent_format.conditioned_seconds
    if request.audio is None:
        return tail(read_audio(Path(str(request.init_audio)), sample_rate=rate), rate)
    return read_audio(Path(request.audio), sample_rate=rate, seconds=seconds)
