"""The guided network of one sampling run, over all windows of a latent of any length.

Axes: `b` batch, `w` windows, `c` channels, `t` latent frames, `s` tokens, `d` width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from ..conditioners.assemble import Conditioning
from ..conditioners.inputs import TimeRange
from ..conditioners.time_weights import latest_end, time_weights, to_window_end
from ..config import SamplingConfig
from ..diffusion.guidance import guided
from ..diffusion.objectives import Predict
from ..models import Backbone, Prepared
from ..windows import Plan, active_windows, check_windows
from .run_cache import RunCache, predict

# conditionings of one sound, each with the time in which it applies; None: everywhere else
Timeline = Sequence[tuple[TimeRange | None, Conditioning]]


@dataclass(frozen=True)
class GuidedBranches:
    """Conditionings that add one modality after another; see `diffusion.guidance`."""

    timelines: tuple[Timeline, ...]  # of the same time ranges
    weights: tuple[float, ...]  # of the difference of each from the one before it

    @property
    def needs_negative(self) -> bool:
        """Whether the unconditional or negative branch is computed, too."""
        return self.weights != (1,)


AnyConditioning = Conditioning | Timeline | GuidedBranches


def predictor(
    backbone: Backbone,
    conditioning: AnyConditioning,
    sampling: SamplingConfig,
    windows: Plan,
) -> Predict:
    """Make the guided network of one run; its conditions are prepared once.

    Args:
        backbone: the model; it computes in its own dtype.
        conditioning: both branches, for a single window (used for all) or for each window in
            `windows`; or several with their times, of which the first has the negative branch; or
            those of several branches with their weights, of which the last has it.
        sampling: its cfg_rescale is used, and its cfg unless the branches have weights.
        windows: of the latent.

    Returns:
        A function of the noisy latents `b c t` and the times `b`, in float32.

    Raises:
        SettingsError: a conditioning was made for another length, or none applies at some time.
    """
    branches = _branches(conditioning, sampling.cfg)
    timeline = branches.timelines[-1]
    dtype = next(backbone.to_cond_embed.parameters()).dtype
    device = timeline[0][1].positive.device
    joined = [given for entries in branches.timelines for _, given in entries]

    for given in joined:
        check_windows(given.windows, windows, given.seconds)

    def of_windows(tokens: Tensor, count: int) -> Tensor:
        return rearrange(tokens.to(dtype), "1 (w s) d -> w s d", w=count)

    conditions: list[Tensor | None] = [of_windows(c.positive, c.windows) for c in joined]
    spans, prompts = [span for span, _ in timeline], len(timeline)
    spans = to_window_end(spans, windows, latest_end(spans))
    weights = time_weights(spans, windows.frames, windows.frame_seconds, windows.loop)
    active: list[Sequence[int] | None] = [active_windows(weight, windows) for weight in weights]
    active *= len(branches.timelines)
    weights = weights.to(device)
    if branches.needs_negative:
        negative = of_windows(timeline[0][1].negative, timeline[0][1].windows)
        conditions.append(negative if negative.any() else None)
        active.append(None)
    cache = RunCache()

    def forward(x: Tensor, t: Tensor, prepared: Prepared, _: Sequence[int]) -> Tensor:
        return backbone(x.to(dtype), t, prepared).float()

    def run(x: Tensor, t: Tensor) -> Tensor:
        """Predict each part of the batch with all prompts of a branch, the last with the null."""
        counts = [prompts] * len(branches.timelines) + [1] * branches.needs_negative
        x, t = _repeat(x, counts), _repeat(t, counts)
        predicted = predict(
            backbone, x, t, conditions, plan=windows, cache=cache, forward=forward, active=active
        )
        if prompts == 1:
            return predicted
        *parts, last = predicted.chunk(len(conditions))
        if not branches.needs_negative:
            return _blend(weights, [*parts, last])
        starts = range(0, len(parts), prompts)
        return torch.cat([*(_blend(weights, parts[i : i + prompts]) for i in starts), last])

    if not branches.needs_negative:
        return run
    return guided(run, branches.weights, sampling.cfg_rescale)


def _branches(conditioning: AnyConditioning, cfg: float) -> GuidedBranches:
    if isinstance(conditioning, GuidedBranches):
        return conditioning
    timeline = [(None, conditioning)] if isinstance(conditioning, Conditioning) else conditioning
    return GuidedBranches((timeline,), (cfg,))


def _repeat(batch: Tensor, counts: Sequence[int]) -> Tensor:
    """Repeat each equal part of a batch a number of times."""
    parts = zip(batch.chunk(len(counts)), counts, strict=True)
    return torch.cat([part for part, count in parts for _ in range(count)])


def _blend(weights: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """The predictions of all prompts, each where its prompt applies."""
    return torch.stack([w * part for w, part in zip(weights, parts, strict=True)]).sum(dim=0)
