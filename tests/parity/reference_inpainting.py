"""Inpainting as the original release does it, for its recorded case.

At every step the kept part of the latent, with new noise, replaces x; a frame is released once the
share of the steps exceeds its mask. The package follows the rule of ComfyUI's samplers instead
(`audiox_core/diffusion/inpaint.py`), so that the command line and the graph agree.
"""

from collections.abc import Callable
from math import ceil, floor

import torch
from torch import Tensor

from audiox_core.diffusion.objectives import Noised, OnStep, add_noise


def is_kept(mask: Tensor, step: int, steps: int) -> Tensor:
    """Where a step of `steps` keeps the initial latent, `t` bool."""
    return mask <= torch.tensor((step + 1) / steps, dtype=torch.float32)


def crop_paste(waveform: Tensor, crop_from: float, paste_from: float, paste_to: float) -> Tensor:
    """Move a part of a clip: what begins at `crop_from` is put to `paste_from`..`paste_to`.

    Args:
        waveform: `... n`; the result has the same length, zero around the part.
        crop_from, paste_from, paste_to: in samples or frames, rounded outwards.
    """
    source, first, last = floor(crop_from), floor(paste_from), ceil(paste_to)
    length = min(last - first, waveform.shape[-1] - source)
    moved = torch.zeros_like(waveform)
    moved[..., first : first + length] = waveform[..., source : source + length]
    return moved


def begin_inpainting(
    init_latent: Tensor, noise: Tensor, mask: Tensor, sigmas: Tensor, *, noised: Noised = add_noise
) -> Tensor:
    """The latent of the first step: noised where it is kept, pure noise elsewhere.

    Args:
        init_latent, noise: `b c t`.
        mask: `t`.
        sigmas: of the run.
        noised: the objective's.
    """
    kept = is_kept(mask, 0, len(sigmas) - 1)
    return noised(torch.where(kept, init_latent, 0), noise, sigmas[0].item())


def keep_init_latent(
    init_latent: Tensor, mask: Tensor, sigmas: Tensor,
    noise_sampler: Callable[[], Tensor], *, noised: Noised = add_noise,
) -> OnStep:  # fmt: skip
    """A callback that writes the initial latent, with new noise, into the x that the update uses.

    Args: as in `begin_inpainting`; `noise_sampler` draws unit noise `b c t`.
    """
    levels = sigmas.tolist()

    def hold(step: int, x: Tensor, _denoised: Tensor) -> None:
        kept = is_kept(mask, step, len(levels) - 1).to(x.device)
        x.copy_(torch.where(kept, noised(init_latent, noise_sampler(), levels[step]), x))

    return hold
