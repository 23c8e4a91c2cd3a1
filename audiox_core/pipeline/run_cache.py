"""The prepared conditions of a sampling run, computed once because no step changes them.

Both hosts call `predict`: the solvers of this package through `pipeline.predictor`, ComfyUI's
through `nodes/bridge/backbone.py`. Axes: `b` batch, `w` windows, `c` channels, `t` latent frames,
`s` tokens, `d` width.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..config import AudioXConfig, MMDiTConfig
from ..models import Backbone, Prepared
from ..models.dit import Context
from ..models.mmdit import Modulations
from ..windows import Plan, over_windows

# a backbone's forward: noisy latents `b c t`, times `b`, prepared conditions, and the condition of
# each of the equal pieces that the batch consists of -> prediction `b c t`
Forward = Callable[[Tensor, Tensor, Prepared, Sequence[int]], Tensor]


LIMIT_BYTES = 2 << 30  # on each device: v1 keeps about 70 MB a window in half precision


@dataclass
class _Entry:
    prepared: Any = None  # None: there was no room
    size: int = 0  # bytes
    used: int = 0  # the call that used it last


@dataclass
class _Slot:
    """What is kept on one device."""

    entries: dict[Hashable, _Entry] = field(default_factory=dict)
    calls: int = 0  # those in a row with one key are one
    last: Hashable = None  # key

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries.values())

    def drop_unused(self) -> None:
        """Drop what a whole round of calls did not use: the conditions have changed since."""
        oldest = self.calls - len(self.entries) - 1
        self.entries = {key: e for key, e in self.entries.items() if e.used >= oldest}


class RunCache:
    """The prepared conditions of one sampling run: one slot for each device.

    A slot keeps every group of windows up to a bound of memory; the groups beyond it are prepared
    at every step.
    """

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        """Begin a run.

        Args:
            limit: bytes to keep on each device.
        """
        self._limit, self._slots = limit, defaultdict[torch.device, _Slot](_Slot)

    def get(self, key: Hashable, device: torch.device, prepare: Callable[[], Prepared]) -> Prepared:
        """The prepared conditions of `key`.

        Args:
            key: identifies the conditions.
            device: the slot to use.
            prepare: computes the conditions if they are not there.
        """
        slot = self._slots[device]
        slot.calls += key != slot.last
        slot.last = key
        slot.drop_unused()  # before others are made
        entry = slot.entries.setdefault(key, _Entry())
        entry.used = slot.calls
        if entry.prepared is not None:
            return entry.prepared
        prepared = prepare()
        size = _bytes(prepared)
        if slot.size + size <= self._limit:
            entry.prepared, entry.size = prepared, size
        return prepared

    def clear(self) -> None:
        """Drop everything."""
        self._slots.clear()


def _bytes(prepared: Any) -> int:
    """Memory of the tensors of prepared conditions."""
    if isinstance(prepared, Tensor):
        return prepared.nbytes
    if isinstance(prepared, Context | Modulations):
        return _bytes(prepared.layers)
    return sum(map(_bytes, prepared)) if isinstance(prepared, list | tuple) else 0


def prepared_values(config: AudioXConfig) -> int:
    """How many numbers the prepared condition of a window has."""
    dit = config.dit
    if isinstance(dit, MMDiTConfig):
        return dit.depth * dit.positions * 6 * dit.width
    return dit.depth * 2 * config.tokens * dit.width


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
    active: Sequence[Sequence[int] | None] | None = None,
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
        forward: of the backbone; its last argument is the part of each of the equal pieces.
        active: windows in which each condition is used; elsewhere its prediction is 0. None is all.

    Returns:
        The prediction `b c t`.
    """
    parts = len(conditions)
    times = t.chunk(parts)
    every = range(plan.windows)
    used = [every if windows is None else windows for windows in active or [None] * parts]
    # a condition of a single window serves every group of the same parts
    shared = all(tokens is None or len(tokens) == 1 for tokens in conditions)

    def predict_windows(pieces: Tensor, group: Sequence[tuple[int, int]]) -> Tensor:
        prepare = partial(_prepare, backbone, conditions, len(pieces) // len(group), group, x)
        if cache is None:
            prepared = prepare()
        else:
            same = tuple(part for _, part in group) if shared else tuple(group)
            prepared = cache.get((same, len(pieces), x.dtype, key), x.device, prepare)
        used_parts = [part for _, part in group]
        repeated = torch.cat([times[part] for part in used_parts])
        return forward(pieces, repeated, prepared, used_parts)

    return over_windows(x, plan, predict_windows, used)


def _prepare(
    backbone: Backbone,
    conditions: Sequence[Tensor | None],
    items: int,
    group: Sequence[tuple[int, int]],
    like: Tensor,
) -> Prepared:
    """Prepare each condition once, however many items of the batch have it."""
    found: dict[tuple[int, int], Tensor] = {}  # by the window and the part
    rows: list[int | None] = []  # of the found ones, for each item
    for window, part in group:
        tokens = conditions[part]
        if tokens is None:
            rows += [None] * items
            continue
        place = (0 if len(tokens) == 1 else window, part)
        found.setdefault(place, tokens[place[0]])
        rows += [[*found].index(place)] * items
    joined = torch.stack([*found.values()]).to(like.device) if found else backbone.no_tokens(like)
    return backbone.prepare(joined, rows)
