"""Spectrograms of the sound while it is sampled, as ComfyUI's own latent previews.

They are shown on a GPU, where ComfyUI's preview method is not `none`, the VAE came with the model,
and decoding a few times costs at most a tenth of the run.
"""

import time
from collections.abc import Callable
from typing import Any

import comfy.model_management as mm
import comfy.utils
from comfy.cli_args import LatentPreviewMethod, args
from PIL import Image
from torch import Tensor

from ...audiox_core.analysis.plot import Track, plot_sounds
from ...audiox_core.config import AudioXConfig
from ...audiox_core.pipeline.stage_times import oobleck_flop, window_flop

VAE = "audiox_vae"  # the attachment of a MODEL
MOST = 3  # previews of a run
SHARE = 0.1  # of a run's time that they take at most
SPARE = 1.5  # times the memory of decoding that has to be free, so that no model is moved away
SIZE = 512  # pixels

Callback = Callable[[int, Tensor, Tensor, int], None]


def with_previews(callback: Callback | None, patcher: Any, steps: int, device: Any) -> Callback:
    """The callback of a sampler, which now shows spectrograms of the denoised estimate, too.

    Args:
        callback: ComfyUI's own.
        patcher: MODEL.
        steps: of the run.
        device: that it runs on.
    """
    callback = callback or (lambda *_: None)
    vae = patcher.get_attachment(VAE)
    if vae is None or not is_wanted(device):
        return callback
    due = preview_steps(patcher.model.audiox, steps)
    spent = began = 0.0

    def show(step: int, denoised: Tensor, x: Tensor, total: int) -> None:
        nonlocal spent, began
        callback(step, denoised, x, total)
        now = time.perf_counter()
        began = began or now
        if step not in due or spent > SHARE * (now - began) or not _fits(vae, denoised):
            return
        picture = Image.fromarray(_spectrogram(vae, denoised[:1]))
        comfy.utils.ProgressBar(total).update_absolute(step + 1, total, ("JPEG", picture, SIZE))
        spent += time.perf_counter() - now

    return show


def is_wanted(device: Any) -> bool:
    """Whether previews are shown on a device."""
    return device.type != "cpu" and args.preview_method != LatentPreviewMethod.NoPreviews


def preview_steps(config: AudioXConfig, steps: int) -> set[int]:
    """The steps after which a preview costs little enough; none if decoding is too expensive."""
    sampling, decoding = window_flop(config), oobleck_flop(config.vae, config.latent.window)
    count = min(MOST, int(SHARE * steps * sampling / decoding))
    return {round(steps * (k + 1) / (count + 1)) - 1 for k in range(count)}


def _fits(vae: Any, latent: Tensor) -> bool:
    needed = vae.memory_used_decode(latent.shape, vae.vae_dtype)
    return mm.get_free_memory(latent.device) > SPARE * (needed + vae.patcher.model_size())


def _spectrogram(vae: Any, latent: Tensor) -> Any:
    sound = vae.decode(latent).movedim(-1, 1).float()[0]
    return plot_sounds([Track(sound)], vae.audio_sample_rate)
