"""What a request starts from: its files are opened before a model is needed."""

import logging
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..config import LatentConfig
from ..errors import SettingsError
from ..limits import MAX_SECONDS, check_seconds
from ..media.clip import Clip, clip_from_file
from ..media.image_batch import picture_from
from ..media.pixels import read_image
from ..media.sound import read_sound
from ..paths import local_path
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
        clip = open_clip(request)
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
        known = read_sound(request.init_audio, sample_rate=rate, seconds=longest)
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
    if request.audio is not None:
        return read_sound(request.audio, sample_rate=rate, seconds=seconds)
    if request.init_audio is not None:
        return tail(read_sound(request.init_audio, sample_rate=rate), rate)
    raise SettingsError("The request has no audio prompt: pass audio, or extend init_audio.")


def open_clip(request: Request) -> Clip:
    """The video of a request, which is a file or a clip.

    Raises:
        MediaError: the file cannot be read as a video.
    """
    if isinstance(request.video, Clip):
        return request.video
    return clip_from_file(local_path(str(request.video)), timing=request.timing)


def read_picture(request: Request) -> Tensor:
    """The image of a request, which is a file or in memory, `3 h w` in 0..255.

    Raises:
        MediaError: the file cannot be read.
        SettingsError: the image in memory has another shape.
    """
    image = request.image
    return read_image(local_path(image)) if isinstance(image, str | Path) else picture_from(image)
