"""The Oobleck VAE: stereo audio at 44.1 kHz <-> 64 latent channels at 21.5 Hz.

A stack of strided convolutions with snake activations (Stable Audio, arXiv 2402.04825, section
3.1.1). Module names follow the released checkpoint below `pretransform.model.`; its weight norm
is folded into plain weights when it is loaded (`fold_weight_norm`).

Axes: `b` batch, `c` channels, `n` audio samples, `t` latent frames.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from math import ceil
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ..config import OobleckConfig

# Latent frames. A latent reaches 10 frames of audio to either side, and audio 8 frames of latents:
# with this overlap the joined pieces are the whole but for rounding. A window in chunks takes a
# third of the memory of a whole one also where the system keeps what was freed.
CHUNK, OVERLAP = 48, 20


def snake_beta(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """The periodic activation x + sin(e^alpha x)^2 / e^beta (Snake, arXiv 2006.08195).

    Args:
        x: `b c n`.
        alpha, beta: logarithms of frequency and inverse amplitude, `c`.
    """
    alpha, beta = (p.to(x.device, x.dtype).exp()[:, None] for p in (alpha, beta))
    y = alpha * x
    return y.sin_().square_().div_(beta + 1e-9).add_(x)  # in place: at full rate `x` is 250 MB


class Snake(nn.Module):
    """`snake_beta` with two learned parameters per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x `b c n` -> `b c n`."""
        if torch.is_grad_enabled() and self.alpha.requires_grad:
            return TrainedSnake.apply(x, self.alpha, self.beta)
        return snake_beta(x, self.alpha, self.beta)


class TrainedSnake(torch.autograd.Function):
    """`snake_beta` with a backward pass that saves two tensors instead of five."""

    @staticmethod
    def forward(context: Any, x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        """As `snake_beta`."""
        y = snake_beta(x, alpha, beta)
        context.save_for_backward(x, y, alpha, beta)
        return y

    @staticmethod
    def backward(context: Any, slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """With u = e^alpha x: dy = (1 + sin(2u) e^alpha / e^beta) dx."""
        x, y, alpha, beta = context.saved_tensors
        rate, gain = (p.to(x.dtype).exp()[:, None] for p in (alpha, beta))
        turned = torch.sin_(2 * rate * x).mul_(slope).mul_(rate / (gain + 1e-9))
        to_alpha = torch.einsum("bcn,bcn->c", turned, x)
        share = (gain / (gain + 1e-9))[:, 0]
        to_beta = torch.einsum("bcn,bcn->c", x - y, slope) * share
        return turned.add_(slope), to_alpha.to(alpha.dtype), to_beta.to(beta.dtype)


class ResidualUnit(nn.Module):
    """Two pairs of snake and convolution, the first one dilated; residual."""

    def __init__(self, channels: int, dilation: int, *, ops: Any) -> None:
        super().__init__()
        wide = ops.Conv1d(channels, channels, 7, dilation=dilation, padding=3 * dilation)
        self.layers = nn.Sequential(
            Snake(channels), wide, Snake(channels), ops.Conv1d(channels, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x `b c n` -> `b c n`."""
        return self.layers(x).add_(x)


class Stage(nn.Module):
    """A sequence of layers and stages under the name that the checkpoint uses."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def __iter__(self) -> Iterator[nn.Module]:
        """The layers of all stages, one by one."""
        for layer in self.layers:
            yield from layer if isinstance(layer, Stage) else (layer,)

    def forward(self, x: Tensor) -> Tensor:
        """x `b c n` -> `b c n`, other channels and length."""
        for layer in self:  # flat: a nested call would keep its input until its last layer is done
            x = layer(x)
        return x


def _residual_units(channels: int, ops: Any) -> list[nn.Module]:
    return [ResidualUnit(channels, dilation, ops=ops) for dilation in (1, 3, 9)]


def _down(channels: int, out: int, stride: int, ops: Any) -> Stage:
    conv = ops.Conv1d(channels, out, 2 * stride, stride=stride, padding=ceil(stride / 2))
    return Stage(*_residual_units(channels, ops), Snake(channels), conv)


def _up(channels: int, out: int, stride: int, ops: Any) -> Stage:
    conv = ops.ConvTranspose1d(channels, out, 2 * stride, stride=stride, padding=ceil(stride / 2))
    return Stage(Snake(channels), conv, *_residual_units(out, ops))


def _encoder(config: OobleckConfig, ops: Any) -> Stage:
    widths = [config.channels * m for m in (1, *config.multipliers)]
    return Stage(
        ops.Conv1d(config.io_channels, widths[0], 7, padding=3),
        *(_down(*sizes, ops) for sizes in zip(widths, widths[1:], config.strides, strict=False)),
        Snake(widths[-1]),
        ops.Conv1d(widths[-1], 2 * config.latent_channels, 3, padding=1),
    )


def _decoder(config: OobleckConfig, ops: Any) -> Stage:
    widths = [config.channels * m for m in (1, *config.multipliers)][::-1]
    strides = config.strides[::-1]
    return Stage(
        ops.Conv1d(config.latent_channels, widths[0], 7, padding=3),
        *(_up(*sizes, ops) for sizes in zip(widths, widths[1:], strides, strict=False)),
        Snake(widths[-1]),
        ops.Conv1d(widths[-1], config.io_channels, 7, padding=3, bias=False),
    )


class Posterior(NamedTuple):
    """The encoder's distribution of a latent: a Gaussian for each number, `b c t`."""

    mean: Tensor
    scale: Tensor  # raw; `std` makes a standard deviation of it

    @property
    def std(self) -> Tensor:
        """Standard deviation, `b c t`."""
        return softplus(self.scale) + 1e-4

    def sample(self, noise: Tensor) -> Tensor:
        """Draw a latent with standard normal `noise` of its shape."""
        return self.mean + self.std * noise

    def kl(self) -> Tensor:
        """KL divergence from the standard normal: summed over channels, averaged over the rest."""
        variance = self.std.square()
        return (self.mean.square() + variance - variance.log() - 1).sum(dim=1).mean()


class Oobleck(nn.Module):
    """Encoder and decoder for any length, which is rounded down to whole latent frames."""

    def __init__(self, config: OobleckConfig, *, ops: Any = nn) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config, ops)
        self.decoder = _decoder(config, ops)

    def encode(self, audio: Tensor) -> Posterior:
        """Audio `b 2 n` in [-1, 1] -> posterior of `b c t`, t = n // hop_length."""
        return Posterior(*self.encoder(audio).chunk(2, dim=1))

    def decode(self, latent: Tensor) -> Tensor:
        """Latent `b c t` -> audio `b 2 n`, n = t * hop_length."""
        return self.decoder(latent)


class ChunkedOobleck:
    """Encodes and decodes in overlapping pieces: the memory stays flat at any length.

    Each piece loses half the overlap at its inner edges.

    Args:
        oobleck: the VAE.
        device: that it computes on; None is where its weights are.
        check: called before each piece; may raise to stop.
        progress: called after each piece with the share that is done, 0..1.
        chunk, overlap: length of a piece and of the part that it shares with the next one, in
            latent frames.
    """

    def __init__(
        self,
        oobleck: Oobleck,
        device: torch.device | None = None,
        check: Callable[[], None] = lambda: None,
        progress: Callable[[float], None] = lambda _: None,
        *,
        chunk: int = CHUNK,
        overlap: int = OVERLAP,
    ) -> None:
        self.oobleck, self.check, self.progress = oobleck, check, progress
        self.chunk, self.overlap = chunk, overlap
        self.device = next(oobleck.parameters()).device if device is None else device
        self.config = oobleck.config

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights of the VAE."""
        return self.oobleck.parameters()

    def encode(self, audio: Tensor) -> Posterior:
        """As `Oobleck.encode`; the result is where `audio` is."""
        hop, parts = self.config.hop_length, []
        total = audio.shape[-1] // hop
        for piece, kept in self._pieces(total):
            # the last latents see the samples behind the last whole frame, too
            stop = audio.shape[-1] if piece.stop == total else piece.stop * hop
            self.check()
            part = self.oobleck.encode(audio[..., piece.start * hop : stop].to(self.device))
            parts.append([t[..., kept].to(audio.device) for t in part])
        return Posterior(*(torch.cat(part, dim=-1) for part in zip(*parts, strict=True)))

    def decode(self, latent: Tensor) -> Tensor:
        """As `Oobleck.decode`, one item of a batch at a time; the result is where `latent` is."""
        items = enumerate(latent[:, None])
        return torch.cat([self._decode(item, index, len(latent)) for index, item in items])

    def _decode(self, latent: Tensor, index: int, items: int) -> Tensor:
        hop, total = self.config.hop_length, latent.shape[-1]
        whole = latent.new_empty(1, self.config.io_channels, total * hop)
        for piece, kept in self._pieces(total):
            self.check()
            audio = self.oobleck.decode(latent[..., piece].to(self.device))
            at = slice((piece.start + kept.start) * hop, (piece.start + kept.stop) * hop)
            whole[..., at] = audio[..., kept.start * hop : kept.stop * hop]
            self.progress((index + at.stop / (total * hop)) / items)
        return whole

    def _pieces(self, total: int) -> Iterator[tuple[slice, slice]]:
        """The pieces of a latent, and the part of each that is kept."""
        chunk, overlap = self.chunk, self.overlap
        last = max(0, total - chunk)
        starts = [*range(0, last, chunk - overlap), last]
        edges = [0, *(start + overlap // 2 for start in starts[1:]), total]
        for start, (begin, end) in zip(starts, pairwise(edges), strict=True):
            yield slice(start, min(start + chunk, total)), slice(begin - start, end - start)


def fold_weight_norm(state: Mapping[str, Tensor], *, in_place: bool = False) -> dict[str, Tensor]:
    """Replace every pair `weight_g`, `weight_v` of weight normalization by its weight g v / |v|.

    The norm runs over all axes but the first, which counts output channels in a convolution and
    input channels in a transposed one. Computed and returned in float32; `in_place` writes the
    weight over a float32 `weight_v`, so that no memory is needed beside it.
    """
    folded = dict(state)
    for key, v in state.items():
        g = state.get(key.removesuffix("_v") + "_g") if key.endswith(".weight_v") else None
        if g is not None and g.shape == (len(v), *[1] * (v.ndim - 1)):
            weight = v.float() if in_place else v.float().clone()
            norm = weight.flatten(1).norm(dim=1).view(g.shape)
            folded[key.removesuffix("_v")] = weight.mul_(g.float()).div_(norm)
            del folded[key], folded[key.removesuffix("_v") + "_g"]
    return folded
