"""LATENT: an empty one, and one of existing audio with a noise mask.

Besides ComfyUI's own entries it has `audiox_seconds`, the requested length, and `audiox_init`, the
existing audio; native nodes pass both on. The samples are an `AudioLatent`, those of a loop a
`LoopLatent`.
"""

from collections.abc import Mapping
from typing import Any

import comfy.model_management as mm

from ...audiox_core.config import LatentConfig
from ...audiox_core.pipeline.init_audio import extend_audio, tail
from ...audiox_core.pipeline.sampling import silent_latent
from .audio_latent import audio_latent
from .encode import latent_format_of, time_ranges
from .loop import loop_latent
from .media import audio_of, waveform_of

SECONDS = "audiox_seconds"
INIT = "audiox_init"


def empty_latent(seconds: float, batch: int, loop: bool = False) -> dict[str, Any]:
    """An empty LATENT that covers a length, at least one window unless it is a loop.

    Args:
        seconds: length of the audio.
        batch: number of variations.
        loop: the audio is played in a loop.
    """
    latent_format = LatentConfig()
    # which also checks: a linked value may be anything
    samples = silent_latent(latent_format, seconds, batch, loop=loop, name="batch_size")
    samples = samples.to(mm.intermediate_device())
    samples = loop_latent(samples) if loop else audio_latent(samples)
    # newer samplers stretch an empty latent by this number, unless it is the model's own
    ratio = {"downscale_ratio_temporal": latent_format.hop_length}
    return {"samples": samples, "type": "audio", SECONDS: seconds, **ratio}


def inpaint_latent(
    vae: Any,
    audio: Mapping[str, Any] | None,
    regenerate: str,
    feather: float,
    before: float,
    after: float,
) -> tuple[dict[str, Any], float, dict[str, Any]]:
    """Existing audio -> its latent with a noise mask, the length of the result, and AUDIO.

    The AUDIO is the tail of the existing audio, the prompt of what follows it. The length is in
    seconds.

    Args:
        vae: an AudioX VAE.
        audio: AUDIO; the first item of a batch is used.
        regenerate: time ranges in seconds, such as `2.0-4.5, 7-8`; empty for none.
        feather: seconds of the crossfades between kept and new audio.
        before, after: seconds to generate before and after the audio.
    """
    latent_format = latent_format_of(vae)
    known = waveform_of(audio, latent_format.sample_rate)
    spans = time_ranges(regenerate)
    init = extend_audio(known, latent_format, spans, before=before, after=after, feather=feather)
    seconds = init.waveform.shape[-1] / latent_format.sample_rate
    latent, mask = init.encode(latent_format, lambda sound: vae.encode(sound.movedim(1, -1)))
    entries = {"samples": audio_latent(latent), "type": "audio", SECONDS: seconds, INIT: init}
    prompt = audio_of(tail(known, latent_format.sample_rate)[None], latent_format.sample_rate)
    return {**entries, "noise_mask": mask[None, None]}, seconds, prompt
