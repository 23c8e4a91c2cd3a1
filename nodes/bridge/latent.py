"""LATENT: an empty one, and one of which a part is known.

Beside ComfyUI's own entries it carries `audiox_seconds`, the length that was asked for, and
`audiox_known`, the samples that stay; native nodes hand both on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.model_management as mm
import torch
from torch import Tensor
from torch.nn.functional import pad

from ...audiox_core.conditioners.masking import Span, parse_spans
from ...audiox_core.config import LatentConfig
from ...audiox_core.diffusion.inpaint import soft_mask
from ...audiox_core.errors import SettingsError
from ...audiox_core.windows import Plan, plan
from .encode import MAX_SECONDS, MIN_SECONDS, grid_of
from .media import waveform_of

SECONDS = "audiox_seconds"
KNOWN = "audiox_known"


@dataclass(frozen=True)
class Known:
    """A sound of which some spans are made anew."""

    waveform: Tensor  # `2 n`
    spans: tuple[Span, ...]  # seconds that are made anew


def empty_latent(seconds: float, batch: int) -> dict[str, Any]:
    """Silence that covers `seconds`, at least a window."""
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:  # a linked value may be anything
        raise SettingsError(
            f"A sound of {seconds:g} s cannot be made: take {MIN_SECONDS:g} to {MAX_SECONDS:g} s."
        )
    if batch < 1:
        raise SettingsError(f"The batch size is {batch}: it is at least 1.")
    grid = LatentConfig()
    frames = plan(grid, seconds).frames
    samples = torch.zeros(batch, grid.channels, frames, device=mm.intermediate_device())
    # newer samplers stretch an empty latent by this number, unless it is the model's own
    ratio = {"downscale_ratio_temporal": grid.hop_length}
    return {"samples": samples, "type": "audio", SECONDS: seconds, **ratio}


def inpaint_latent(
    vae: Any, audio: Mapping[str, Any] | None, regenerate: str, feather: float, before: float,
    after: float,
) -> tuple[dict[str, Any], float]:  # fmt: skip
    """A known sound -> its latent with a noise mask, and the seconds that it lasts in the end."""
    grid = grid_of(vae)
    known = waveform_of(audio, grid.sample_rate)
    length = known.shape[-1] / grid.sample_rate
    if not (before >= 0 and after >= 0):
        raise SettingsError(
            f"Extended by {before:g} s before and {after:g} s after: both are at least 0. To "
            "shorten a sound use TrimAudioDuration."
        )
    spans = _spans(regenerate, length, before, after)
    seconds = before + length + after
    if seconds > MAX_SECONDS:
        raise SettingsError(f"{seconds:.1f} s is too long: take at most {MAX_SECONDS:g} s.")
    layout = plan(grid, seconds)
    head = grid.samples(before)
    tail = layout.frames * grid.hop_length - head - known.shape[-1]
    whole = pad(known, (head, tail))
    latent = {
        "samples": vae.encode(whole[None].movedim(1, -1)),
        "type": "audio",
        "noise_mask": _mask(grid, layout, spans, seconds, feather),
        SECONDS: seconds,
        KNOWN: Known(whole[:, : grid.samples(seconds)], spans),
    }
    return latent, seconds


def _spans(regenerate: str, length: float, before: float, after: float) -> tuple[Span, ...]:
    """What is made anew, in the time of the extended sound."""
    inner = parse_spans(regenerate) if regenerate.strip() else ()
    if late := [begin for begin, _ in inner if begin >= length]:
        raise SettingsError(
            f"There is nothing to make anew at {late[0]:g} s: the sound ends at {length:.2f} s. "
            "To go on from there use extend_after."
        )
    spans = [(before + begin, before + min(end, length)) for begin, end in inner]
    if before:
        spans.insert(0, (0.0, before))
    if after:
        spans.append((before + length, before + length + after))
    if not spans:
        raise SettingsError(
            "Nothing is to be made anew: give seconds such as 2.0-4.5, or extend the sound."
        )
    return tuple(spans)


def _mask(
    grid: LatentConfig, layout: Plan, spans: Sequence[Span], seconds: float, feather: float
) -> Tensor:
    """Which latent frames are made anew, `1 1 t`; what lies behind the end is free."""
    rate = grid.sample_rate / grid.hop_length
    ramp = feather * rate
    masks = []
    for begin, end in spans:
        first, last = begin * rate, layout.frames if end >= seconds else end * rate
        half = (last - first) / 2
        masks.append(
            soft_mask(
                layout.frames, first, last,
                ramp_in=min(ramp, half) if begin > 0 else 0,
                ramp_out=min(ramp, half) if end < seconds else 0,
            )
        )  # fmt: skip
    free = torch.arange(layout.frames) >= seconds * rate
    return torch.maximum(torch.stack(masks).amax(dim=0), free.float())[None, None]
