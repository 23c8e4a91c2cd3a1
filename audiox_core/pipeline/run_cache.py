"""The prepared conditions of a sampling run, computed once because no step changes them.

Both hosts call `predict`: the solvers of this package through `pipeline.predictor`, ComfyUI's
through `nodes/bridge/backbone.py`. Axes: `b` batch, `w` windows, `c` channels, `t` latent frames,
`s` tokens, `d` width.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import partial

import torch
from einops import rearrange
from torch import Tensor

from ..models import Backbone, Prepared
from ..windows import Plan, over_windows

# a backbone's forward: noisy latents `b c t`, times `b`, prepared conditions -> prediction `b c t`
Forward = Callable[[Tensor, Tensor, Prepared], Tensor]


class RunCache:
    """The prepared conditions of one sampling run: one slot for each device.

    A slot has the conditions of the most recent group of windows, so the memory is that of one
    group. A run of at most four guided windows is one group.
    """

    def __init__(self) -> None:
        self._slots: dict[torch.device, tuple[Hashable, Prepared]] = {}

    def get(self, key: Hashable, device: torch.device, prepare: Callable[[], Prepared]) -> Prepared:
        """The prepared conditions of `key`; others on the same device are dropped.

        Args:
            key: identifies the conditions.
            device: the slot to use.
            prepare: computes the conditions if they are not there.
        """
        kept = self._slots.get(device)
        if kept is None or kept[0] != key:
            kept = None
            self._slots.pop(device, None)  # before the new ones are made: two are never held
            self._slots[device] = kept = (key, prepare())
        return kept[1]

    def clear(self) -> None:
        """Drop everything."""
        self._slots.clear()


def predict(
    backbone: Backbone,
    x: Tensor,
    t: Tensor,
    conditions: Sequence[Tensor | None],
    *,
    plan: Plan,
    cache: RunCache | None,
    key: Hashable = None,
    forward: Forward,
) -> Tensor:
    """Predict a latent of any length, window by window, for one or more conditions.

    Args:
        backbone: prepares the conditions.
        x: noisy latents `b c t`: as many equal parts as there are conditions.
        t: diffusion times in [0, 1], `b`.
        conditions: tokens of each part, `w s d`, of which a single window serves all; None is the
            unconditional input, zero in all tokens.
        plan: the windows of the latent.
        cache: of the run; None prepares the conditions at every call.
        key: identifies the conditions of a call among those of the same run.
        forward: of the backbone.

    Returns:
        The prediction `b c t`.
    """
    batch = len(x)

    def predict_windows(parts: Tensor, group: Sequence[int]) -> Tensor:
        prepare = partial(_prepare, backbone, conditions, batch // len(conditions), tuple(group), x)
        if cache is None:
            prepared = prepare()
        else:
            prepared = cache.get((tuple(group), batch, x.dtype, key), x.device, prepare)
        rows = rearrange(parts, "b w c t -> (b w) c t")
        predicted = forward(rows, t.repeat_interleave(len(group)), prepared)
        return rearrange(predicted, "(b w) c t -> b w c t", b=batch)

    return over_windows(x, plan, predict_windows)


def _prepare(
    backbone: Backbone,
    conditions: Sequence[Tensor | None],
    items: int,
    group: tuple[int, ...],
    like: Tensor,
) -> Prepared:
    """Prepare each condition once, however many items of the batch have it."""
    tokens: list[Tensor] = []
    rows: list[int | None] = []  # of `tokens`, for each window of each item
    for condition in conditions:
        if condition is None:
            rows += [None] * (items * len(group))
            continue
        first = sum(map(len, tokens))
        shared = len(condition) == 1
        tokens.append(condition if shared else condition[list(group)])
        rows += [first + (0 if shared else i) for i in range(len(group))] * items
    joined = torch.cat(tokens).to(like.device) if tokens else backbone.no_tokens(like)
    return backbone.prepare(joined, rows)
