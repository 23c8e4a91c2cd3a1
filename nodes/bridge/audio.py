"""From latents to sound, and from sound to a VIDEO."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...audiox_core.config import LatentConfig
from ...audiox_core.diffusion.inpaint import paste_back as with_known
from ...audiox_core.errors import SettingsError
from ...audiox_core.media.audio import peak_normalize
from ...audiox_core.media.loudness import normalize_loudness
from ...audiox_core.media.mix import mix
from ...audiox_core.pipeline.road import JOIN_SECONDS
from ...audiox_core.pipeline.soundtrack import audible
from ...audiox_core.windows import plan
from .encode import grid_of
from .latent import KNOWN, SECONDS, Known
from .media import audio_of, clip_of_video, waveform_of, with_sound

LEVELS = ["keep", "peak", "loudness"]


def decoded(
    vae: Any, latent: Mapping[str, Any], level: str, lufs: float, trim: bool, paste_back: bool
) -> dict[str, Any]:
    """LATENT -> AUDIO."""
    grid, samples = grid_of(vae), latent["samples"]
    if getattr(samples, "is_nested", False):  # latents of video with sound: the last is the sound
        samples = samples.unbind()[-1]
    if samples.ndim != 3 or samples.shape[1] != grid.channels or not all(samples.shape):
        raise SettingsError(
            f"The latent is {tuple(samples.shape)}: AudioX decodes (batch, {grid.channels}, "
            "frames). Connect AudioX Sampler, or KSampler with an AudioX model."
        )
    # cut or joined by a node since: its times and its known samples are no longer where they were
    seconds = latent.get(SECONDS)
    whole = seconds is not None and plan(grid, seconds).frames == samples.shape[-1]
    waveforms = vae.decode(samples).movedim(-1, 1).float()
    if whole and trim:
        waveforms = waveforms[..., : grid.samples(seconds)]
    known = latent.get(KNOWN) if whole and paste_back else None
    finished = [_finished(w, grid, known, level, lufs) for w in waveforms]
    return audio_of(torch.stack(finished), grid.sample_rate)


def _finished(
    waveform: Tensor, grid: LatentConfig, known: Known | None, level: str, lufs: float
) -> Tensor:
    waveform = audible(waveform)  # before the known samples join: they stay as they are
    if known is not None and known.waveform.shape[-1] <= waveform.shape[-1]:
        spans = [(grid.samples(a), grid.samples(b)) for a, b in known.spans]
        length = known.waveform.shape[-1]
        pasted = with_known(waveform[:, :length], known.waveform, spans, grid.samples(JOIN_SECONDS))
        waveform = torch.cat([pasted, waveform[:, length:]], dim=-1)
    if level == "peak":
        return peak_normalize(waveform)
    return normalize_loudness(waveform, grid.sample_rate, lufs) if level == "loudness" else waveform


def soundtracked(
    video: Any, audio: Mapping[str, Any] | None, mix_original: bool, original_db: float,
    duck_db: float, gain_db: float,
) -> tuple[Any, str]:  # fmt: skip
    """A VIDEO with this AUDIO, and what became of its picture."""
    clip = clip_of_video(video)
    rate = int(audio["sample_rate"]) if audio is not None else 0
    made = waveform_of(audio, rate)
    original = clip.sound(rate) if mix_original else None
    made = mix(made, original, rate, gain_db=gain_db, original_db=original_db, duck_db=duck_db)
    return with_sound(video, clip, audible(made), rate)
