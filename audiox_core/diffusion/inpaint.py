"""Variation and inpainting: start from an initial latent, keep part of it.

The rule is the literal one of the reference: where the mask is 1 the latent is **regenerated**,
where it is 0 it is kept: at every step the initial latent, with new noise, replaces x there. In the
result the kept part is the model's estimate of it; `paste_back` restores the original samples.

Axes: `b` batch, `c` channels, `t` latent frames, `n` audio samples.
"""

from collections.abc import Callable, Sequence
from math import ceil, floor

import torch
from torch import Tensor

from .objectives import Denoiser, Noised, OnStep, add_noise


def soft_mask(
    frames: int,
    begin: float,
    end: float,
    *,
    ramp_in: float = 0.0,
    ramp_out: float = 0.0,
    marination: float = 0.0,
) -> Tensor:
    """Make the mask of the latent frames that are regenerated.

    Args:
        frames: length of the latent.
        begin, end: where the part begins and ends, in frames, rounded outwards.
        ramp_in, ramp_out: frames of half a Hann window at its edges, over which
            frames are released step by step.
        marination: lowers the mask, so that the last share of the steps is constrained again.
            The reference has it; it undoes the regeneration.

    Returns:
        `t` in 0..1; 1 is regenerated from the first step on.
    """
    mask = torch.zeros(frames)
    first, last = floor(begin), ceil(end)
    mask[first:last] = 1
    rise, fall = round(ramp_in), round(ramp_out)
    mask[first : first + rise] = torch.hann_window(2 * rise, periodic=False)[:rise]
    mask[max(last - fall, 0) : last] = torch.hann_window(2 * fall, periodic=False)[fall:]
    return mask * (1 - marination)


def is_kept(mask: Tensor, step: int, steps: int) -> Tensor:
    """Where a step keeps the initial latent.

    Args:
        mask: of `soft_mask`, `t`.
        step: index of the step, 0 to `steps - 1`.
        steps: of the run.

    Returns:
        `t` bool.
    """
    return mask <= torch.tensor((step + 1) / steps, dtype=torch.float32)


def crop_paste(waveform: Tensor, crop_from: float, paste_from: float, paste_to: float) -> Tensor:
    """Move a part of a clip from `crop_from` to `paste_from`..`paste_to`.

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
        init_latent, noise: latent to keep, and unit noise, `b c t`.
        mask: of `soft_mask`, `t`.
        sigmas: of the run.
        noised: how the objective adds noise to a latent.

    Returns:
        `b c t`.
    """
    kept = is_kept(mask, 0, len(sigmas) - 1)
    return noised(torch.where(kept, init_latent, 0), noise, sigmas[0].item())


def keep_init_latent(
    init_latent: Tensor,
    mask: Tensor,
    sigmas: Tensor,
    noise_sampler: Callable[[], Tensor],
    *,
    noised: Noised = add_noise,
) -> OnStep:
    """Make the `on_step` that writes the initial latent, with new noise, into the kept part of x.

    Args:
        init_latent, mask, sigmas, noised: as in `begin_inpainting`.
        noise_sampler: draws unit noise `b c t`.
    """
    levels = sigmas.tolist()

    def hold(step: int, x: Tensor, _denoised: Tensor) -> None:
        kept = is_kept(mask, step, len(levels) - 1).to(x.device)
        x.copy_(torch.where(kept, noised(init_latent, noise_sampler(), levels[step]), x))

    return hold


def masked_denoiser(
    denoise: Denoiser, init_latent: Tensor, noise: Tensor, mask: Tensor, noised: Noised
) -> Denoiser:
    """Hold a denoiser to a known latent, as ComfyUI's samplers treat a noise mask.

    At every call the known latent under noise takes the place of `x` where the mask is 0, and the
    known latent itself the place of the estimate; between 0 and 1 the two are blended. So it works
    with every solver.

    Args:
        denoise: of the model.
        init_latent: the known latent, `b c t`.
        noise: unit noise of the run, `b c t`.
        mask: `t` in 0..1: 1 is generated, 0 is kept.
        noised: the objective's.
    """

    def held(x: Tensor, sigma: float) -> Tensor:
        x = x * mask + noised(init_latent, noise, sigma) * (1 - mask)
        return denoise(x, sigma) * mask + init_latent * (1 - mask)

    return held


def paste_back(
    decoded: Tensor, init_audio: Tensor, spans: Sequence[tuple[int, int]], fade: int
) -> Tensor:
    """Restore the original samples outside of the regenerated spans.

    Args:
        decoded, init_audio: the new and the original sound, `c n`.
        spans: regenerated samples, from and to.
        fade: samples of a linear crossfade inside each end of a span.

    Returns:
        `c n`.
    """
    weight = torch.zeros(decoded.shape[-1])
    for begin, end in spans:
        positions = torch.arange(begin, min(end, len(weight)))
        inwards = torch.minimum(positions - begin + 1, end - positions).clamp(max=fade + 1)
        edge = torch.ones_like(positions) if fade == 0 else inwards / (fade + 1)
        weight[begin : begin + len(positions)] = torch.maximum(
            weight[begin : begin + len(positions)], edge
        )
    return torch.lerp(init_audio, decoded, weight)
