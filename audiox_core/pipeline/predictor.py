"""The guided network of one sampling run, over all windows of a latent of any length.

Axes: `b` batch, `w` windows, `c` channels, `t` latent frames, `s` tokens, `d` width.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor

from ..conditioners.assemble import Conditioning
from ..conditioners.inputs import TimeRange
from ..conditioners.time_weights import time_weights
from ..config import SamplingConfig
from ..diffusion.guidance import guided
from ..diffusion.objectives import Predict
from ..models import Backbone, Prepared
from ..windows import Plan, active_windows, check_windows
from .run_cache import RunCache, predict

# conditionings of one sound, each with the time in which it applies; None: everywhere else
Timeline = Sequence[tuple[TimeRange | None, Conditioning]]


def predictor(
    backbone: Backbone,
    conditioning: Conditioning | Timeline,
    sampling: SamplingConfig,
    windows: Plan,
) -> Predict:
    """Make the guided network of one run; its conditions are prepared once.

    Args:
        backbone: the model; it computes in its own dtype.
        conditioning: both branches, for a single window (used for all) or for each window in
            `windows`; or several with their times, of which the first has the negative branch.
        sampling: its cfg and cfg_rescale are used.
        windows: of the latent.

    Returns:
        A function of the noisy latents `b c t` and the times `b`, in float32.

    Raises:
        SettingsError: a conditioning was made for another length, or none applies at some time.
    """
    timeline = [(None, conditioning)] if isinstance(conditioning, Conditioning) else conditioning
    dtype = next(backbone.to_cond_embed.parameters()).dtype
    device = timeline[0][1].positive.device

    for _, given in timeline:
        check_windows(given.windows, windows, given.seconds)

    def of_windows(tokens: Tensor, count: int) -> Tensor:
        return rearrange(tokens.to(dtype), "1 (w s) d -> w s d", w=count)

    conditions: list[Tensor | None] = [of_windows(c.positive, c.windows) for _, c in timeline]
    weights = time_weights([span for span, _ in timeline], windows.frames, windows.frame_seconds)
    active: list[Sequence[int] | None] = [active_windows(weight, windows) for weight in weights]
    weights, prompts = weights.to(device), len(timeline)
    if sampling.cfg != 1:
        negative = of_windows(timeline[0][1].negative, timeline[0][1].windows)
        conditions.append(negative if negative.any() else None)
        active.append(None)
    cache = RunCache()

    def forward(x: Tensor, t: Tensor, prepared: Prepared) -> Tensor:
        return backbone(x.to(dtype), t, prepared).float()

    def run(x: Tensor, t: Tensor) -> Tensor:
        """Predict one part of the batch with all prompts, the other with the negative one."""
        parts = 1 if sampling.cfg == 1 else 2
        x, t = _repeat_first(x, parts, prompts), _repeat_first(t, parts, prompts)
        predicted = predict(
            backbone, x, t, conditions, plan=windows, cache=cache, forward=forward, active=active
        ).chunk(len(conditions))
        if prompts == 1:
            return torch.cat(predicted)
        blended = sum(w * part for w, part in zip(weights, predicted, strict=False))
        return torch.cat([blended, *predicted[prompts:]])

    return run if sampling.cfg == 1 else guided(run, sampling.cfg, sampling.cfg_rescale)


def _repeat_first(batch: Tensor, parts: int, times: int) -> Tensor:
    first, *others = batch.chunk(parts)
    return torch.cat([*[first] * times, *others])
