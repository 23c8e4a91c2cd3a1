"""From latents to AUDIO, and from AUDIO to a VIDEO with sound."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...audiox_core.limits import Level
from ...audiox_core.media.loudness import measure_loudness
from ...audiox_core.media.mix import mix, place
from ...audiox_core.pipeline.decode import check_finite, decode_with, finish, limit_peak
from ...audiox_core.windows import plan
from .audio_latent import plain
from .encode import latent_format_of
from .latent import INIT, SECONDS
from .loop import is_loop
from .media import audio_of, first_of_batch, rate_of, waveform_of
from .video import clip_of_video, with_sound

TOLERANCE = 0.1  # LU


def decoded(
    vae: Any, latent: Mapping[str, Any], level: Level, lufs: float, trim: bool, paste_back: bool
) -> tuple[dict[str, Any], str]:
    """LATENT -> AUDIO, and its levels for the node to show.

    Args:
        vae: an AudioX VAE.
        latent: LATENT of a sampler.
        level: see `pipeline.decode.finish`.
        lufs: target loudness, LUFS.
        trim: cut the audio to the requested length.
        paste_back: restore the known samples after inpainting.
    """
    latent_format, samples = latent_format_of(vae), latent["samples"]
    if getattr(samples, "is_nested", False):  # latents of video with sound: the last is the sound
        samples = samples.unbind()[-1]
    # a node may have cut or joined the latent: then its times and known samples no longer fit
    seconds, loop = latent.get(SECONDS), is_loop(samples)
    fits = seconds is not None and plan(latent_format, seconds, loop).frames == samples.shape[-1]
    waveforms = decode_with(
        lambda part: vae.decode(part).movedim(-1, 1).float(),
        plain(samples),
        latent_format,
        seconds if fits and trim else None,
        loop,
    )
    init = latent.get(INIT) if fits and paste_back else None
    finished = [
        finish(
            waveform,
            latent_format,
            init_audio=init,
            level=level,
            lufs=lufs,
            in_place=True,
            loop=loop,
        )
        for waveform in waveforms
    ]
    rate = latent_format.sample_rate
    lines = [
        _levels(waveform, rate, lufs if level == "loudness" else None) for waveform in finished
    ]
    if len(lines) > 1:
        lines = [f"{take}: {line}" for take, line in enumerate(lines, 1)]
    if not samples.any():
        lines.append("the latent is empty: connect the output of a sampler")
    return audio_of(torch.stack(finished), rate), "\n".join(lines)


def _levels(waveform: Tensor, rate: int, target: float | None) -> str:
    """The levels of a sound, and whether it has another loudness than it should have."""
    levels = measure_loudness(waveform, rate)
    if target is None or abs(levels.lufs - target) <= TOLERANCE:
        return levels.describe()
    return f"{levels.describe()} (not {target:g} LUFS: too short, too soft, or its peaks too high)"


def soundtracked(
    video: Any,
    audio: Mapping[str, Any] | None,
    start: float,
    *,
    mix_original: bool,
    original_db: float,
    duck_db: float,
    gain_db: float,
) -> tuple[Any, str]:
    """A VIDEO with this AUDIO, and what became of its picture and sound, for the node to show.

    Args:
        video: VIDEO.
        audio: AUDIO; the first item of a batch is used.
        start: second of the video at which the audio begins.
        mix_original: mix with the audio of the video instead of replacing it.
        original_db, gain_db: gains of the original and of the new audio, dB.
        duck_db: how far the original is lowered while the new audio is loud, dB.
    """
    clip = clip_of_video(video)
    rate = rate_of(audio)
    sound = waveform_of(audio, rate)
    end = start + sound.shape[-1] / rate
    sound = place(sound, rate, start, clip.seconds)
    original = clip.sound(rate) if mix_original else None
    sound = mix(sound, original, rate, gain_db=gain_db, original_db=original_db, duck_db=duck_db)
    check_finite(sound)
    made, picture = with_sound(video, clip, limit_peak(sound), rate)
    heard = f"sound from {start:.2f} to {min(end, clip.seconds):.2f} s of {clip.seconds:.2f} s"
    said = f"{picture}; {heard}", first_of_batch(audio)
    return made, "\n".join(filter(None, said))
