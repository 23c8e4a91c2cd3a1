"""AUDIO and IMAGE <-> tensors of the core."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ...audiox_core.errors import SettingsError
from ...audiox_core.media.decode import to_stereo
from ...audiox_core.media.image_batch import check_images, to_pixels
from ...audiox_core.media.resample import resample


def waveform_of(audio: Mapping[str, Any] | None, sample_rate: int) -> Tensor:
    """AUDIO of any rate and channel count -> `2 n` float32; only the first of a batch is used.

    Three to eight channels are mixed down as the usual layouts, such as 5.1 for six.
    """
    if audio is None:
        raise SettingsError(
            "There is no audio: the video has no audio track. Connect another AUDIO, or "
            "disconnect the input."
        )
    waveform = audio["waveform"]
    if waveform.ndim != 3 or not all(waveform.shape):
        raise SettingsError(
            f"The audio has the shape {tuple(waveform.shape)}: expected (batch, channels, "
            "samples) with at least one sample."
        )
    first = waveform[0].detach().cpu()
    if not first.is_floating_point():
        first = first.float() / 2 ** (8 * first.element_size() - 1)
    first = first.float()
    if not first.isfinite().all():
        raise SettingsError("The audio contains NaN or infinite samples: generate it again.")
    return resample(to_stereo(first).contiguous(), int(audio["sample_rate"]), sample_rate)


def audio_of(waveform: Tensor, sample_rate: int) -> dict[str, Any]:
    """Sound `b c n` -> AUDIO."""
    return {"waveform": waveform.detach().cpu().float().contiguous(), "sample_rate": sample_rate}


def first_image(images: Tensor) -> Tensor:
    """The first image of an IMAGE batch -> `3 h w` in 0..255 float32."""
    check_images(images)
    return to_pixels(images[0]).float()
