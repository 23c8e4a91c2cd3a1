"""Prompts over time in a sampling run, as the masks that ComfyUI blends conditionings by.

A CONDITIONING entry may have `audiox_span`: the seconds in which it applies. When a run begins and
the number of frames is known, every entry of a branch gets a mask `1 t`; the masks add up to 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ...audiox_core.conditioners.inputs import TimeRange
from ...audiox_core.conditioners.time_weights import gaps, latest_end, time_weights, to_window_end
from ...audiox_core.config import LatentConfig
from ...audiox_core.errors import SettingsError
from ...audiox_core.windows import Plan, active_windows, plan_frames

SPAN = "audiox_span"
LOOP = "audiox_loop"  # in the entries of a run that samples a loop

Entry = Mapping[str, Any]


def with_span(conditioning: list, start: float, end: float, fade: float) -> list:
    """A CONDITIONING that applies to some seconds only; a span that it has becomes narrower.

    Args:
        conditioning: text, or assembled.
        start, end: seconds.
        fade: length of the crossfade at each border, seconds.
    """
    span = TimeRange(start, end, fade).check()
    return [
        [tokens, {**facts, SPAN: _within(facts.get(SPAN), span)}] for tokens, facts in conditioning
    ]


def _within(outer: TimeRange | None, span: TimeRange) -> TimeRange:
    if outer is None:
        return span
    start, end = max(outer.start, span.start), min(outer.end, span.end)
    if start >= end:
        raise SettingsError(
            f"The time range {span.start:g}-{span.end:g} s lies outside of the range "
            f"{outer.start:g}-{outer.end:g} s that the conditioning has."
        )
    return replace(span, start=start, end=end)


def with_masks(
    branches: Mapping[str, Sequence[Entry]], noise: Tensor, latent: LatentConfig, loop: bool = False
) -> dict[str, list[Entry]]:
    """The branches of a guider, with a mask for every entry where one has a time range.

    Args:
        branches: positive, negative and others -> their entries.
        noise: `b c t`.
        latent: of the model.
        loop: the last frame is followed by the first one.

    Raises:
        SettingsError: a mask of a picture or of another length, or frames to which none applies.
    """
    if noise.ndim != 3:  # told by `extra_conds`
        return {name: list(entries) for name, entries in branches.items()}
    plan = plan_frames(latent, noise.shape[-1], loop)
    masked = {name: _masked(entries, plan) for name, entries in branches.items()}
    return {name: [{**entry, LOOP: loop} for entry in found] for name, found in masked.items()}


def _masked(entries: Sequence[Entry], plan: Plan) -> list[Entry]:
    for entry in entries:
        _check_mask(entry.get("mask"), plan)
        _check_start(entry.get(SPAN), plan)
    if any(entry.get(SPAN) is not None for entry in entries):
        entries = [
            {**entry, **steps, "mask": weight[None] * entry.get("mask", 1.0)}
            for entry, parts in zip(entries, _weights(entries, plan), strict=True)
            for steps, weight in parts
        ]
    if entries:
        _check_covered(entries, plan)
    return list(entries)


def _weights(entries: Sequence[Entry], plan: Plan) -> list[list[tuple[dict[str, float], Tensor]]]:
    """The weights of each entry over time, among those that apply at the same steps.

    Returns:
        For each entry the steps, as ComfyUI counts them, and the weight at them; more than one
        where other entries begin or end to apply between them (ConditioningSetTimestepRange).
    """
    found: list[list[tuple[dict[str, float], Tensor]]] = [[] for _ in entries]
    borders, latest = _step_borders(entries), latest_end([e.get(SPAN) for e in entries])
    for begin, end in pairwise(borders):
        active = [i for i, entry in enumerate(entries) if _applies(entry, begin, end)]
        spans = to_window_end([entries[i].get(SPAN) for i in active], plan, latest)
        if not active:
            continue  # `_check_covered` says so
        try:
            weights = time_weights(spans, plan.frames, plan.frame_seconds, plan.loop)
        except SettingsError as error:
            if len(borders) == 2:
                raise
            raise SettingsError(f"From {begin:.0%} to {end:.0%} of the steps: {error}") from error
        for i, weight in zip(active, weights, strict=True):
            if found[i] and torch.equal(found[i][-1][1], weight):
                found[i][-1][0]["end_percent"] = end
            else:
                found[i].append(({"start_percent": begin, "end_percent": end}, weight))
    return [[({} if len(parts) == 1 else s, w) for s, w in parts] for parts in found]


def _step_borders(entries: Sequence[Entry]) -> list[float]:
    ends = {0.0, 1.0}
    for entry in entries:
        ends |= {entry.get("start_percent", 0.0), entry.get("end_percent", 1.0)}
    return sorted(ends)


def _applies(entry: Entry, begin: float, end: float) -> bool:
    return entry.get("start_percent", 0.0) <= begin and entry.get("end_percent", 1.0) >= end


def _check_mask(mask: Tensor | None, plan: Plan) -> None:
    if mask is None:
        return
    if mask.ndim > 2:
        raise SettingsError(
            "A conditioning has an image mask (ConditioningSetMask), which does not apply to "
            "audio: remove it. For a part of the time, use AudioX Time Range; to regenerate one, "
            "AudioX Inpaint Latent."
        )
    if mask.shape[-1] != plan.frames:
        raise SettingsError(
            f"A conditioning has a mask of {mask.shape[-1]} frames, but the latent has "
            f"{plan.frames}: remove it, or use AudioX Time Range."
        )


def _check_start(span: TimeRange | None, plan: Plan) -> None:
    length = plan.frames * plan.frame_seconds
    if span is not None and span.start >= length:
        raise SettingsError(
            f"A time range starts at {span.start:g} s, but the latent ends at {length:.2f} s: use "
            "an earlier start, or more seconds in AudioX Empty Latent."
        )


def _check_covered(entries: Sequence[Entry], plan: Plan) -> None:
    """Raise where no entry has a weight: there, ComfyUI's result would be silence.

    Entries with `default` are ComfyUI's own way to fill the rest.
    """
    if any("default" in entry for entry in entries):
        return
    for begin, end in pairwise(_step_borders(entries)):
        covered = torch.zeros(plan.frames, dtype=torch.bool)
        for entry in entries:
            if _applies(entry, begin, end):
                mask = entry.get("mask", torch.ones(plan.frames))
                covered |= (mask.reshape(-1, plan.frames) > 0).any(dim=0).cpu()
        if not covered.any():
            raise SettingsError(
                f"No prompt applies from {begin:.0%} to {end:.0%} of the steps: combine the "
                "conditioning with one for these steps (ConditioningCombine), or change start and "
                "end of ConditioningSetTimestepRange."
            )
        if not covered.all():
            raise SettingsError(
                f"No prompt applies from {gaps(covered, plan.frame_seconds)} at some steps: add a "
                "prompt without a time range with ConditioningCombine, or change the ranges."
            )


def used_windows(mask: Tensor | None, plan: Plan) -> tuple[int, ...] | None:
    """The windows in which a conditioning with this mask has a weight; None is all."""
    return None if mask is None else active_windows(mask, plan)
