"""AUDIO and IMAGE <-> tensors of the core."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from ...audiox_core.errors import SettingsError, check_number
from ...audiox_core.media.audio import sample_peak
from ...audiox_core.media.decode import RATES, to_stereo
from ...audiox_core.media.image_batch import check_images, to_pixels
from ...audiox_core.media.resample import resample


def rate_of(audio: Mapping[str, Any] | None) -> int:
    """The sample rate of AUDIO in Hz. Raises SettingsError without AUDIO, or for an absurd rate."""
    if audio is None:
        raise SettingsError(
            "There is no audio: the video has no audio track. Connect another AUDIO, or "
            "disconnect the input."
        )
    rate = audio["sample_rate"]
    check_number("The sample rate of the audio", rate, RATES[0], RATES[-1], unit=" Hz")
    return int(rate)


def waveform_of(audio: Mapping[str, Any] | None, sample_rate: int) -> Tensor:
    """AUDIO of any rate and channel count -> `2 n` float32; only the first of a batch is used.

    Three to eight channels are mixed down as the usual layouts, such as 5.1 for six.
    """
    rate, waveform = rate_of(audio), (audio or {})["waveform"]
    if waveform.ndim != 3 or not all(waveform.shape):
        raise SettingsError(
            f"The audio has the shape {tuple(waveform.shape)}: expected (batch, channels, "
            "samples) with at least one sample."
        )
    first = waveform[0].detach().cpu()
    if first.dtype == torch.bool or first.is_complex():
        raise SettingsError(f"The audio has the type {first.dtype}: use float32 samples.")
    if not first.is_floating_point():
        middle = 128 if first.dtype == torch.uint8 else 0
        first = (first.float() - middle) / 2 ** (8 * first.element_size() - 1)
    first = first.float()
    if not isfinite(sample_peak(first)):
        raise SettingsError("The audio contains NaN or infinite samples: generate it again.")
    return resample(to_stereo(first).contiguous(), rate, sample_rate)


def first_of_batch(audio: Mapping[str, Any] | None) -> str:
    """What a node says that uses one sound of a batch; empty for one sound."""
    count = 1 if audio is None else len(audio["waveform"])
    return f"1 of {count} takes is used; AudioX Takes chooses another" if count > 1 else ""


def audio_of(waveform: Tensor, sample_rate: int) -> dict[str, Any]:
    """Sound `b c n` -> AUDIO."""
    return {"waveform": waveform.detach().cpu().float().contiguous(), "sample_rate": sample_rate}


def first_image(images: Tensor) -> Tensor:
    """The first image of an IMAGE batch -> `3 h w` in 0..255 float32."""
    check_images(images)
    return to_pixels(images[0]).float()
