"""Windows of a long sound: where they lie, and how their predictions are blended.

The model was trained on one window (236 latent frames, 10.96 s); its video and audio tokens
describe the first ten seconds of it. A longer latent is denoised as a whole: at every step each
window is predicted with its own tokens, and neighbouring predictions are crossfaded where the
tokens of both describe the sound. So a sampler sees a model of any length.

Axes: `b` batch, `w` windows, `c` channels, `t` latent frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from .config import LatentConfig
from .errors import SettingsError

# windows of all batch items in one forward: memory stays flat, however long; on a CPU more of them
# do not fit into its cache
ITEMS_AT_ONCE, CPU_ITEMS_AT_ONCE = 8, 2

LENGTH_TOLERANCE = 0.1  # seconds: of a length that was typed instead of connected

# pieces `r c t`, and the window and the part of the batch of equal shares of them -> predictions
PredictWindows = Callable[[Tensor, Sequence[tuple[int, int]]], Tensor]


@dataclass(frozen=True)
class Plan:
    """The only source of lengths and windows of a run."""

    frames: int  # of the whole latent
    window: int  # frames of a window: the model's, or all there are
    starts: tuple[int, ...]  # first frame of each window
    fade: tuple[int, int]  # frames of a window between which it fades into the next one
    frame_seconds: float

    @property
    def windows(self) -> int:
        """Number of windows."""
        return len(self.starts)

    @property
    def start_seconds(self) -> tuple[float, ...]:
        """Start of each window in seconds."""
        return tuple(start * self.frame_seconds for start in self.starts)

    def weights(self) -> Tensor:
        """Weight of each window's prediction, `w t`; at every frame they add up to 1."""
        if self.windows == 1:
            return torch.ones(1, self.window, dtype=torch.float32)
        begin, end = self.fade
        falling = torch.ones(self.window, dtype=torch.float32)
        steps = torch.arange(end - begin, 0, -1, dtype=torch.float32)
        falling[begin:end] = steps / (end - begin + 1)
        falling[end:] = 0
        weights = torch.ones(self.windows, self.window, dtype=torch.float32)
        for index in range(self.windows - 1):
            shift = self.starts[index + 1] - self.starts[index]
            weights[index] *= falling
            weights[index + 1, : self.window - shift] = 1 - falling[shift:]
        return weights


def plan(latent_format: LatentConfig, seconds: float) -> Plan:
    """Plan the windows that cover a length.

    Args:
        latent_format: of the model.
        seconds: length of the sound; shorter ones than a window get a whole window.
    """
    return plan_frames(
        latent_format,
        max(latent_format.window, ceil(latent_format.samples(seconds) / latent_format.hop_length)),
    )


def plan_frames(latent_format: LatentConfig, frames: int) -> Plan:
    """Plan the windows of a latent.

    Args:
        latent_format: of the model.
        frames: of the latent; fewer than a window make one short window.
    """
    fade = max(1, round(0.1 * latent_format.conditioned_frames))  # 22 of 215 frames: one second
    hop = latent_format.conditioned_frames - fade
    count = 1 + max(0, ceil((frames - latent_format.window) / hop))
    return Plan(
        frames=frames,
        window=min(frames, latent_format.window),
        starts=tuple(min(hop * i, max(0, frames - latent_format.window)) for i in range(count)),
        fade=(hop, latent_format.conditioned_frames),
        frame_seconds=latent_format.hop_length / latent_format.sample_rate,
    )


def active_windows(weights: Tensor, plan: Plan) -> tuple[int, ...]:
    """The windows of whose predictions something is used.

    Args:
        weights: of a prediction at every frame of the latent, `... t`.
        plan: of the latent.
    """
    used = weights.reshape(-1, plan.frames).abs().amax(dim=0).cpu() > 0
    return tuple(
        index
        for index, (start, own) in enumerate(zip(plan.starts, plan.weights(), strict=True))
        if (used[start : start + plan.window] & (own > 0)).any()
    )


def check_windows(given: int, plan: Plan, seconds: float | None = None) -> None:
    """Check that a conditioning serves a latent.

    Args:
        given: windows of the conditioning; 1 serves all.
        plan: of the latent.
        seconds: that the video or audio tokens describe; None where they serve any length. Within
            a single window they may differ from those of the latent.

    Raises:
        SettingsError: the conditioning describes another length than that of the latent.
    """
    length = plan.frames * plan.frame_seconds
    apart = 0.0 if seconds is None else abs(ceil(seconds / plan.frame_seconds) - plan.frames)
    other = plan.windows > 1 and apart * plan.frame_seconds > LENGTH_TOLERANCE
    if other or given not in (1, plan.windows):
        described = f"{given} windows" if seconds is None else f"{seconds:.2f} s"
        raise SettingsError(
            f"The conditioning was made for {described}, but the latent has {plan.windows} windows "
            f"({length:.2f} s): [[use the same length for both|connect seconds of AudioX Encode "
            "Video to AudioX Empty Latent]]."
        )


def spans_in_window(
    spans: Sequence[tuple[float, float]], start: float
) -> tuple[tuple[float, float], ...]:
    """Express spans in the time of a window.

    Args:
        spans: seconds of the sound.
        start: of the window, seconds.

    Returns:
        Seconds of the window; spans that end before it are left out.
    """
    moved = ((begin - start, end - start) for begin, end in spans)
    return tuple((max(0.0, begin), end) for begin, end in moved if end > 0)


def over_windows(
    x: Tensor,
    plan: Plan,
    predict: PredictWindows,
    active: Sequence[Sequence[int]] | None = None,
) -> Tensor:
    """Predict every window and blend the predictions.

    Args:
        x: noisy latents, `b c t`: one or more equal parts.
        plan: of a latent of this length.
        predict: called with pieces `r c t` and the window and the part of each `b / parts` of
            them, for about `ITEMS_AT_ONCE` pieces at once.
        active: windows of each part that are predicted; the others are left 0. None is a single
            part and all windows.

    Returns:
        The prediction, `b c t`.
    """
    active = [range(plan.windows)] if active is None else active
    parts = x.chunk(len(active))
    pairs = [
        (w, p) for w in range(plan.windows) for p, windows in enumerate(active) if w in windows
    ]
    weights = plan.weights().to(x.device, x.dtype)
    spans = [slice(start, start + plan.window) for start in plan.starts]
    joined = [torch.zeros_like(part) for part in parts]
    items = len(parts[0])
    at_once = max(1, (CPU_ITEMS_AT_ONCE if x.device.type == "cpu" else ITEMS_AT_ONCE) // items)
    if plan.windows == 1:  # all parts of the batch at once, as samplers expect
        at_once = max(1, len(pairs))
    for first in range(0, len(pairs), at_once):
        group = pairs[first : first + at_once]
        pieces = torch.cat([parts[part][..., spans[window]] for window, part in group])
        for (window, part), predicted in zip(
            group, predict(pieces, group).split(items), strict=True
        ):
            joined[part][..., spans[window]] += weights[window] * predicted
    return torch.cat(joined)
