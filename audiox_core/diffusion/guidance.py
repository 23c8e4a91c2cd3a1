"""Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598), also by several conditions.

With several conditions, each branch adds one to those of the branch before it, and the difference
between the two has a weight of its own (compositional guidance as in Brooks et al. 2023, arXiv
2211.09800, section 3.2). For text, video and audio: d = wt (t - u) + wv (tv - t) + wa (tva - tv).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from .objectives import Predict, Scalings, v_scalings

Branch = TypeVar("Branch")


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


def merge_branches(branches: Sequence[tuple[float, Branch]]) -> list[tuple[float, Branch]]:
    """Leave out the branches whose predictions cancel: the others give the same difference d.

    Where neighbours have the same weight, the earlier one cancels: w (t - u) + w (tv - t) is
    w (tv - u). A last branch of weight 0 adds nothing.

    Args:
        branches: the weight of each difference, and the branch that it leads to; the first
            difference is that from the unconditional branch.

    Returns:
        The branches to compute; a single one is ordinary guidance with its weight as cfg.
    """
    merged: list[tuple[float, Branch]] = []
    for weight, branch in branches:
        if merged and merged[-1][0] == weight:
            merged.pop()
        merged.append((weight, branch))
    while len(merged) > 1 and merged[-1][0] == 0:
        merged.pop()
    return merged


def join_branches(
    conds: Sequence[Tensor], uncond: Tensor, weights: Sequence[float]
) -> tuple[Tensor, float]:
    """The one conditional prediction and the cfg that guide as all branches together.

    `cfg` is the largest weight w, and the prediction c = u + d / w, so that u + w (c - u) = u + d.

    Args:
        conds: predictions of the branches, each with one condition more, `b c t`.
        uncond: the unconditional prediction, `b c t`.
        weights: of the difference of each branch from the one before it; not all are 0.

    Returns:
        The conditional prediction, `b c t`, and cfg. A single branch is returned as it is.
    """
    if len(conds) == 1:
        return conds[0], weights[0]
    largest, joined = max(weights), uncond
    for weight, (before, after) in zip(weights, pairwise([uncond, *conds]), strict=True):
        joined = joined + (after - before) * (weight / largest)
    return joined, largest


def guided(branches: Predict, weights: Sequence[float], rescale: float) -> Predict:
    """Guide a model that computes all branches in one batched forward.

    Args:
        branches: predicts for a batch of equal parts: a conditional one for each weight, then the
            unconditional one (or with the negative prompt).
        weights: of the difference of each branch from the one before it; a single one is cfg.
        rescale: as in `guide`.

    Returns:
        Noisy `b c t` and times `b` -> guided prediction `b c t`.
    """
    parts = len(weights) + 1

    def predict(x: Tensor, t: Tensor) -> Tensor:
        *conds, uncond = branches(torch.cat([x] * parts), torch.cat([t] * parts)).chunk(parts)
        cond, cfg = join_branches(conds, uncond, weights)
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
