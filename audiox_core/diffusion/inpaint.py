"""Inpainting: generate a part of an initial latent, keep the rest.

Where the mask is 1 the latent is generated, where it is 0 it is kept. The kept part is held at
every step as ComfyUI's samplers hold it; `media.crossfade.paste_back` then restores the original
samples.

Axes: `b` batch, `c` channels, `t` latent frames.
"""

from functools import partial
from math import ceil, floor

import torch
from torch import Tensor

from .objectives import Denoiser, Noised


def soft_mask(
    frames: int, begin: float, end: float, *, ramp_in: float = 0.0, ramp_out: float = 0.0
) -> Tensor:
    """Make the mask of the latent frames that are generated.

    Args:
        frames: length of the latent.
        begin, end: first and last frame of the part, rounded outwards.
        ramp_in, ramp_out: frames of half a Hann window inside of its edges, in which the initial
            latent and the generated one are blended.

    Returns:
        `t` in 0..1; 1 is generated.
    """
    mask = torch.zeros(frames, dtype=torch.float32)
    first, last = floor(begin), ceil(end)
    mask[first:last] = 1
    rise, fall = round(ramp_in), round(ramp_out)
    window = partial(torch.hann_window, periodic=False, dtype=torch.float32)
    mask[first : first + rise] = window(2 * rise)[:rise]
    mask[max(last - fall, 0) : last] = window(2 * fall)[fall:]
    return mask


def masked_denoiser(
    denoise: Denoiser, init_latent: Tensor, noise: Tensor, mask: Tensor, noised: Noised
) -> Denoiser:
    """Keep the masked-out frames of an initial latent, as ComfyUI's samplers treat a noise mask.

    Where the mask is 0, the initial latent with noise replaces x at every call, and the initial
    latent itself replaces the estimate; between 0 and 1 the two are blended. This works with every
    solver.

    Args:
        denoise: of the model.
        init_latent: the latent to keep, `b c t`.
        noise: unit noise of the run, `b c t`.
        mask: `t` in 0..1: 1 is generated, 0 is kept.
        noised: how the objective adds noise to a latent.

    Returns:
        The denoiser of the run.
    """

    def held(x: Tensor, sigma: float) -> Tensor:
        x = x * mask + noised(init_latent, noise, sigma) * (1 - mask)
        return denoise(x, sigma) * mask + init_latent * (1 - mask)

    return held
