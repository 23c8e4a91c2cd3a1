"""Latents -> audio: decode, check, adjust the level.

Axes: `b` batch, `c` channels, `t` latent frames, `n` audio samples.
"""

import logging
from collections.abc import Callable
from math import ceil, isfinite

import torch
from torch import Tensor

from ..checkpoint.checkpoint_file import Checkpoint
from ..config import LatentConfig
from ..errors import AudioXError, SettingsError, check_number
from ..limits import LEVELS, MAX_LUFS, MIN_LUFS, Level
from ..media.audio import peak_normalize, sample_peak
from ..media.mastering import master
from ..media.resample import resample_loop
from ..models.oobleck import REACH, ChunkedOobleck
from .init_audio import InitAudio
from .sampling import check_latent

logger = logging.getLogger(__name__)


@torch.no_grad()
def decode(
    checkpoint: Checkpoint,
    latent: Tensor,
    seconds: float | None = None,
    loop: bool = False,
    *,
    on_progress: Callable[[float], None] | None = None,
) -> Tensor:
    """Decode latents; longer ones than a window in pieces, so that the memory stays flat.

    Args:
        checkpoint: of the model.
        latent: `b c t`.
        seconds: length of the sound; None decodes the whole latent.
        loop: the last frame is followed by the first one; the sound then fits together at its ends.
        on_progress: called after each piece with the share that is done, 0..1; None shows it as
            the checkpoint does.

    Returns:
        Audio `b 2 n`, float32.

    Raises:
        SettingsError: the latent is not one of this model.
    """
    report = checkpoint.progress if on_progress is None else on_progress
    latent_format, vae = checkpoint.config.latent, checkpoint.vae

    def decode_items(latent: Tensor) -> Tensor:
        latent = latent.float()
        if latent.shape[-1] <= latent_format.window and latent.device.type != "cpu":
            return torch.cat([vae.decode(item) for item in latent[:, None]])
        pieces = ChunkedOobleck(vae, None, checkpoint.check_interrupt, report)
        return pieces.decode(latent)

    return decode_with(decode_items, latent, latent_format, seconds, loop)


def decode_with(
    decode_latent: Callable[[Tensor], Tensor],
    latent: Tensor,
    latent_format: LatentConfig,
    seconds: float | None = None,
    loop: bool = False,
) -> Tensor:
    """Decode with a function from latents `b c t` to audio `b 2 n`; else as `decode`.

    Only the frames of the sound are decoded, and those after its end that reach into it.

    Raises:
        SettingsError: the latent is not one of this model.
    """
    check_latent(latent, latent_format.channels)
    if loop:
        decoded = decode_loop(decode_latent, latent, latent_format.hop_length)
        return (
            decoded if seconds is None else resample_loop(decoded, latent_format.samples(seconds))
        )
    if seconds is None:
        return decode_latent(latent)
    samples = latent_format.samples(seconds)
    frames = ceil(samples / latent_format.hop_length) + REACH
    return decode_latent(latent[..., :frames])[..., :samples]


def decode_loop(decode_latent: Callable[[Tensor], Tensor], latent: Tensor, hop: int) -> Tensor:
    """Decode a loop, whose end and beginning are each other's context.

    Args:
        decode_latent: latents `b c t` -> audio `b 2 n`.
        latent: `b c t`.
        hop: audio samples of a frame.

    Returns:
        Audio `b 2 n` of all frames.
    """
    context, frames = REACH, latent.shape[-1]
    around = torch.arange(-context, frames + context, device=latent.device) % frames
    return decode_latent(latent[..., around])[..., context * hop : (context + frames) * hop]


def finish(
    waveform: Tensor,
    latent_format: LatentConfig,
    *,
    init_audio: InitAudio | None = None,
    level: Level = "keep",
    lufs: float = -16.0,
    in_place: bool = False,
    loop: bool = False,
) -> Tensor:
    """Check decoded audio, restore the known samples, adjust the level.

    Args:
        waveform: `2 n`.
        latent_format: of the model.
        init_audio: its samples are restored outside of the regenerated spans.
        level: "keep" is the model's own level, lowered only if it would clip; "peak" scales the
            loudest sample to full scale; "loudness" scales to `lufs` with true peaks of
            at most -1 dB.
        lufs: integrated loudness, LUFS (EBU R 128).
        in_place: overwrite `waveform` where that saves a copy.
        loop: the sound is repeated.

    Raises:
        AudioXError: the audio has NaN or infinite samples.
        SettingsError: an unknown level, or a loudness out of range.
    """
    if level not in LEVELS:
        raise SettingsError(f"The level is {level!r}: choose one of {', '.join(LEVELS)}.")
    check_number("lufs", lufs, MIN_LUFS, MAX_LUFS)
    check_finite(waveform)
    # alone first: known samples below full scale stay as they are
    waveform = limit_peak(waveform, in_place=in_place)
    if init_audio is not None and init_audio.spans:
        waveform = limit_peak(init_audio.paste(waveform, latent_format))
    if level == "peak":
        return peak_normalize(waveform, in_place=in_place)
    if level == "loudness":
        return master(waveform, latent_format.sample_rate, lufs, loop=loop).waveform
    return waveform


def check_finite(waveform: Tensor) -> None:
    """Raise AudioXError if audio has NaN or infinite samples."""
    if not isfinite(sample_peak(waveform)):
        raise AudioXError(
            "The model's output overflowed to NaN or infinity: use float32, a lower cfg, or "
            "another sampler."
        )


def limit_peak(waveform: Tensor, *, in_place: bool = False) -> Tensor:
    """Scale audio down to full scale if it is louder; otherwise its level stays.

    Args:
        waveform: `c n`.
        in_place: overwrite it.
    """
    peak = sample_peak(waveform)
    if peak > 1:
        logger.info("The audio peaked at %.2f of full scale and was scaled down to 1.", peak)
        return peak_normalize(waveform, in_place=in_place)
    return waveform
