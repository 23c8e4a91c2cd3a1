"""Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598) and its rescale."""

from collections.abc import Callable

import torch
from torch import Tensor

from .objectives import Predict

ConditionedPredict = Callable[[Tensor, Tensor, Tensor], Tensor]  # noisy, time, tokens -> v


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


def guided(
    predict: ConditionedPredict, positive: Tensor, negative: Tensor, cfg: float, rescale: float
) -> Predict:
    """Both branches in one batched forward; at cfg 1 only the conditional one.

    Args:
        predict: network over noisy `b c t`, time `b` and tokens `b s d`.
        positive, negative: tokens, `1 s d` for the whole batch or `b s d`.
        cfg, rescale: as in `guide`.
    """

    def both(x: Tensor, t: Tensor) -> Tensor:
        batch = x.shape[0]
        tokens = [branch.expand(batch, -1, -1) for branch in (positive, negative)]
        if cfg == 1:
            return predict(x, t, tokens[0])
        out = predict(torch.cat([x, x]), torch.cat([t, t]), torch.cat(tokens))
        return guide(*out.chunk(2), cfg, rescale)

    return both
