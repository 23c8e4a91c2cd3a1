"""Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598) and its rescale."""

import torch
from torch import Tensor

from .objectives import Predict, Scalings, v_scalings


def guide(cond: Tensor, uncond: Tensor, cfg: float, rescale: float = 0.0) -> Tensor:
    """Move the conditional prediction away from the unconditional one.

    Args:
        cond, uncond: predictions, `b c t`.
        cfg: guidance scale; 1 is the conditional prediction itself.
        rescale: 0..1, how far the standard deviation returns to that of the conditional
            prediction (Lin et al. 2023, arXiv 2305.08891, section 3.4). As in AudioX it is taken
            over the channels of each frame, not over the whole item.

    Returns:
        The guided prediction, `b c t`.
    """
    guided = uncond + (cond - uncond) * cfg
    if rescale == 0:
        return guided
    spread = cond.std(dim=1, keepdim=True) / guided.std(dim=1, keepdim=True)
    return rescale * guided * spread + (1 - rescale) * guided


def guided(branches: Predict, cfg: float, rescale: float) -> Predict:
    """Guide a model that computes both branches in one batched forward.

    Args:
        branches: predicts for a doubled batch: the first half conditional, the second half
            unconditional (or with the negative prompt).
        cfg, rescale: as in `guide`.

    Returns:
        Noisy `b c t` and times `b` -> guided prediction `b c t`.
    """

    def predict(x: Tensor, t: Tensor) -> Tensor:
        cond, uncond = branches(torch.cat([x, x]), torch.cat([t, t])).chunk(2)
        return guide(cond, uncond, cfg, rescale)

    return predict


def guide_denoised(
    cond: Tensor,
    uncond: Tensor,
    x: Tensor,
    sigma: Tensor,
    *,
    cfg: float,
    rescale: float,
    scalings: Scalings = v_scalings,
) -> Tensor:
    """Apply `guide` to denoised estimates, which is what ComfyUI holds, instead of predictions.

    The rescale is not linear, so the estimates are turned into predictions and back.

    Args:
        cond, uncond: denoised estimates, `b c t`.
        x: the noisy latent of the estimates, `b c t`.
        sigma: its noise level, `b`.
        cfg, rescale: as in `guide`.
        scalings: of the objective.

    Returns:
        The guided denoised estimate, `b c t`.
    """
    c_skip, c_out = (c.view(-1, 1, 1).to(x.device) for c in scalings(sigma)[:2])
    v_cond, v_uncond = ((denoised - c_skip * x) / c_out for denoised in (cond, uncond))
    return c_skip * x + c_out * guide(v_cond, v_uncond, cfg, rescale)
