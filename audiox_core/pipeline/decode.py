"""Latents -> audio: decode, check, adjust the level.

Axes: `b` batch, `c` channels, `t` latent frames, `n` audio samples.
"""

import logging
from collections.abc import Callable
from math import ceil, isfinite
from typing import Literal, get_args

import torch
from torch import Tensor

from ..checkpoint.checkpoint_file import Checkpoint
from ..config import LatentConfig
from ..errors import AudioXError, SettingsError, check_number
from ..media.audio import peak_normalize
from ..media.loudness import normalize_loudness
from ..models.oobleck import OVERLAP, ChunkedOobleck
from .init_audio import InitAudio
from .sampling import check_latent

logger = logging.getLogger(__name__)

Level = Literal["keep", "peak", "loudness"]
LEVELS = get_args(Level)
_STEP_DOWN = 0.9
MIN_LUFS = -70  # where EBU R 128 stops counting


@torch.no_grad()
def decode(
    checkpoint: Checkpoint,
    latent: Tensor,
    seconds: float | None = None,
    *,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Tensor:
    """Decode latents; longer ones than a window in pieces, so that the memory stays flat.

    Args:
        checkpoint: of the model.
        latent: `b c t`.
        seconds: length of the sound; None decodes the whole latent.
        on_progress: called after each piece with the share that is done, 0..1.

    Returns:
        Audio `b 2 n`, float32.

    Raises:
        SettingsError: the latent is not one of this model.
    """
    latent_format, vae = checkpoint.config.latent, checkpoint.vae

    def decode_items(latent: Tensor) -> Tensor:
        if latent.shape[-1] > latent_format.window:
            return ChunkedOobleck(vae, progress=on_progress).decode(latent.float())
        decoded = []
        for done, item in enumerate(latent[:, None].float(), start=1):
            decoded.append(vae.decode(item))
            on_progress(done / len(latent))
        return torch.cat(decoded)

    return decode_with(decode_items, latent, latent_format, seconds)


def decode_with(
    decode_latent: Callable[[Tensor], Tensor],
    latent: Tensor,
    latent_format: LatentConfig,
    seconds: float | None = None,
) -> Tensor:
    """Decode with a function from latents `b c t` to audio `b 2 n`; else as `decode`.

    Only the frames of the sound are decoded, and those after its end that reach into it.

    Raises:
        SettingsError: the latent is not one of this model.
    """
    check_latent(latent, latent_format.channels)
    if seconds is None:
        return decode_latent(latent)
    samples = latent_format.samples(seconds)
    frames = ceil(samples / latent_format.hop_length) + OVERLAP // 2
    return decode_latent(latent[..., :frames])[..., :samples]


def finish(
    waveform: Tensor,
    latent_format: LatentConfig,
    *,
    init_audio: InitAudio | None = None,
    level: Level = "keep",
    lufs: float = -16.0,
) -> Tensor:
    """Check decoded audio, restore the known samples, adjust the level.

    Args:
        waveform: `2 n`.
        latent_format: of the model.
        init_audio: its samples are restored outside of the regenerated spans.
        level: "keep" is the model's own level, lowered only if it would clip; "peak" scales the
            loudest sample to full scale; "loudness" scales to `lufs`.
        lufs: integrated loudness, LUFS (EBU R 128).

    Raises:
        AudioXError: the audio has NaN or infinite samples.
        SettingsError: an unknown level, or a loudness out of range.
    """
    if level not in LEVELS:
        raise SettingsError(f"The level is {level!r}: choose one of {', '.join(LEVELS)}.")
    check_number("lufs", lufs, MIN_LUFS, 0)
    check_finite(waveform)
    waveform = limit_peak(waveform)  # alone first: known samples below full scale stay as they are
    if init_audio is not None and init_audio.spans:
        waveform = _restored(waveform, init_audio, latent_format)
    if level == "peak":
        return peak_normalize(waveform)
    if level == "loudness":
        return normalize_loudness(waveform, latent_format.sample_rate, lufs)
    return waveform


def _restored(waveform: Tensor, init_audio: InitAudio, latent_format: LatentConfig) -> Tensor:
    """Restore the known samples; only if they exceed full scale themselves, all is scaled down."""
    restored = init_audio.paste(waveform, latent_format)
    known_fits = init_audio.waveform.abs().amax() <= 1
    while known_fits and restored.abs().amax() > 1:  # in a crossfade, where both are heard
        waveform = waveform * _STEP_DOWN
        restored = init_audio.paste(waveform, latent_format)
    return limit_peak(restored)


def check_finite(waveform: Tensor) -> None:
    """Raise AudioXError if audio has NaN or infinite samples."""
    if not isfinite(waveform.abs().amax().item()):
        raise AudioXError(
            "The model's output overflowed to NaN or infinity: use float32, a lower cfg, or "
            "another sampler."
        )


def limit_peak(waveform: Tensor) -> Tensor:
    """Scale audio down to full scale if it is louder; otherwise its level stays."""
    peak = waveform.abs().amax().item()
    if peak > 1:
        logger.info("The audio peaked at %.2f of full scale and was scaled down to 1.", peak)
        return peak_normalize(waveform)
    return waveform
