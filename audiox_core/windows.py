"""Windows of a long sound: where they lie, and how their predictions are blended.

The model was trained on one window (236 latent frames, 10.96 s); its video and audio tokens
describe the first ten seconds of it. A longer latent is denoised as a whole: at every step each
window is predicted with its own tokens, and neighbouring predictions are crossfaded where the
tokens of both describe the sound. So a sampler sees a model of any length.

The windows of a loop wrap around: behind its last frame comes its first one, and a window that is
longer than the loop holds it several times. So no frame of a loop is a border.

Axes: `b` batch, `w` windows, `c` channels, `t` latent frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import pad

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
    loop: bool = False  # its end is followed by its beginning

    @property
    def windows(self) -> int:
        """Number of windows."""
        return len(self.starts)

    @property
    def start_seconds(self) -> tuple[float, ...]:
        """Start of each window in seconds."""
        return tuple(start * self.frame_seconds for start in self.starts)

    def weights(self, device: torch.device | str = "cpu") -> Tensor:
        """Weight of each window's prediction, `w t`; at every frame they add up to 1.

        Computed on the device: a copy to it would make the host wait at every step.
        """
        if self.loop:
            return self._loop_weights(device)
        frames = torch.arange(self.window, dtype=torch.float32, device=device)
        weights = torch.ones(self.windows, self.window, dtype=torch.float32, device=device)
        for index in range(self.windows - 1):
            weights[index] *= self._falling(frames)
            shift = self.starts[index + 1] - self.starts[index]
            weights[index + 1] -= self._falling(frames + shift)
        return weights

    def _loop_weights(self, device: torch.device | str) -> Tensor:
        """A window counts from the middle of its free frames to where the next one has risen."""
        begin, end = self.fade
        hops = [b - a for a, b in pairwise([*self.starts, self.starts[0] + self.frames])]
        fade = min(end - begin, *hops)
        first = (begin - max(hops)) // 2  # so that both sides have context
        rising = torch.arange(1, fade + 1, dtype=torch.float32, device=device) / (fade + 1)
        weights = torch.zeros(self.windows, self.window, dtype=torch.float32, device=device)
        for weight, hop in zip(weights, hops, strict=True):
            weight[first : first + hop] = 1
            weight[first : first + fade] = rising
            weight[first + hop : first + hop + fade] = 1 - rising
        return weights

    def _falling(self, frames: Tensor) -> Tensor:
        """The weight of a window before its successor, at frames from its start on."""
        begin, end = self.fade
        return (end - frames).div(end - begin + 1).clamp(0, 1)

    def unroll(self, x: Tensor) -> Tensor:
        """Frames `... t` -> those of all windows in a row; a loop is repeated up to the last one.

        Window k is then the `window` frames from `starts[k]` on.
        """
        if not self.loop:
            return x
        length = self.starts[-1] + self.window
        return torch.cat([x] * ceil(length / self.frames), dim=-1)[..., :length]

    def roll_up(self, unrolled: Tensor) -> Tensor:
        """The inverse of `unroll`: a frame is the sum of all its repetitions."""
        if not self.loop:
            return unrolled
        missing = -unrolled.shape[-1] % self.frames
        return pad(unrolled, (0, missing)).unflatten(-1, (-1, self.frames)).sum(dim=-2)


def plan(latent_format: LatentConfig, seconds: float, loop: bool = False) -> Plan:
    """Plan the windows that cover a length.

    Args:
        latent_format: of the model.
        seconds: length of the sound; shorter ones than a window get a whole window.
        loop: of a sound that is played in a loop: it has the nearest number of frames, and decoding
            brings it to the exact length.
    """
    frames = latent_format.samples(seconds) / latent_format.hop_length
    if loop:
        return plan_frames(latent_format, max(1, round(frames)), loop)
    return plan_frames(latent_format, max(latent_format.window, ceil(frames)))


def plan_frames(latent_format: LatentConfig, frames: int, loop: bool = False) -> Plan:
    """Plan the windows of a latent.

    Args:
        latent_format: of the model.
        frames: of the latent; fewer than a window make one short window.
        loop: its windows are whole and wrap around.
    """
    fade = max(1, round(0.1 * latent_format.conditioned_frames))  # 22 of 215 frames: one second
    hop = latent_format.conditioned_frames - fade
    if loop:
        count = ceil(frames / hop)
        return Plan(
            frames=frames,
            window=latent_format.window,
            starts=tuple(round(i * frames / count) for i in range(count)),
            fade=(hop, latent_format.conditioned_frames),
            frame_seconds=latent_format.hop_length / latent_format.sample_rate,
            loop=True,
        )
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
    used = plan.unroll(weights.reshape(-1, plan.frames).abs().amax(dim=0).cpu() > 0)
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
        SettingsError: the conditioning describes another length than that of the latent, or what
            has a beginning and an end, which a loop has not.
    """
    if plan.loop and (given > 1 or seconds is not None):
        raise SettingsError(
            "A loop has no beginning and no end, but the conditioning describes a video or a long "
            "audio prompt, which has both: [[leave --loop out|turn off loop in AudioX Empty "
            "Latent]], or use text, an image or an audio prompt of at most ten seconds."
        )
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
    parts = plan.unroll(x).chunk(len(active))
    pairs = [
        (w, p) for w in range(plan.windows) for p, windows in enumerate(active) if w in windows
    ]
    if plan.windows == 1 and not plan.loop and len(pairs) == len(parts):
        return predict(x, pairs)  # nothing to cut or to blend
    weights = plan.weights(x.device).to(x.dtype)
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
            joined[part][..., spans[window]].addcmul_(weights[window], predicted)
    return plan.roll_up(torch.cat(joined))
