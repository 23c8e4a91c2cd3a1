"""The example clips of the pack as VIDEO, IMAGE and AUDIO."""

from typing import Any

from comfy_api.latest import InputImpl
from torch import Tensor

from ...audiox_core.config import LatentConfig
from ...audiox_core.media.audio import read_audio
from ...audiox_core.media.examples import CLIPS, example_file
from ...audiox_core.media.video import read_frame
from .media import audio_of


def example(which: str) -> tuple[Any, Tensor, dict[str, Any]]:
    """The clip of an example, its picture `1 h w 3` in 0..1, and its sound."""
    path, rate = example_file(which), LatentConfig().sample_rate
    picture = read_frame(path, CLIPS[which].picture).permute(1, 2, 0)[None].float() / 255
    sound = audio_of(read_audio(path, sample_rate=rate)[None], rate)
    return InputImpl.VideoFromFile(str(path)), picture, sound
