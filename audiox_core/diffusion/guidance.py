"""Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598) and its rescale."""

import torch
from torch import Tensor

from .objectives import Predict, Scalings, v_scalings


def guide(cond: Tensor, uncond: Tensor, cfg: float, rescale: float = 0.0) -> Tensor:
    """Push the conditional prediction away from the unconditional one.

    Args:
        cond, uncond: predictions, `b c t`.
        cfg: 1 is the conditional prediction itself.
        rescale: 0..1, how far the result returns to the conditional prediction's spread over
            the channels of each frame (Lin et al. 2023, arXiv 2305.08891, section 3.4; over
            channels, not over the whole item, as AudioX was sampled).
    """
    guided = uncond + (cond - uncond) * cfg
    if rescale == 0:
        return guided
    spread = cond.std(dim=1, keepdim=True) / guided.std(dim=1, keepdim=True)
    return rescale * guided * spread + (1 - rescale) * guided


def guided(branches: Predict, cfg: float, rescale: float) -> Predict:
    """Both branches in one batched forward.

    Args:
        branches: predicts for a doubled batch: the first half conditioned, the second half
            unconditional (or with the negative prompt).
        cfg, rescale: as in `guide`.
    """

    def predict(x: Tensor, t: Tensor) -> Tensor:
        cond, uncond = branches(torch.cat([x, x]), torch.cat([t, t])).chunk(2)
        return guide(cond, uncond, cfg, rescale)

    return predict


def guide_denoised(
    cond: Tensor, uncond: Tensor, x: Tensor, sigma: Tensor, *, cfg: float, rescale: float,
    scalings: Scalings = v_scalings,
) -> Tensor:  # fmt: skip
    """`guide` for denoised estimates, as hosts hold them, in place of predictions.

    Args:
        cond, uncond: denoised estimates, `b c t`.
        x: what they were estimated from, `b c t`.
        sigma: its noise level, `b`.
        cfg, rescale: as in `guide`, where the rescale looks at the predictions.
        scalings: the objective's.
    """
    c_skip, c_out = (c.view(-1, 1, 1).to(x.device) for c in scalings(sigma)[:2])
    v_cond, v_uncond = ((denoised - c_skip * x) / c_out for denoised in (cond, uncond))
    return c_skip * x + c_out * guide(v_cond, v_uncond, cfg, rescale)
