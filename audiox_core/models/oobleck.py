"""The Oobleck VAE: stereo audio at 44.1 kHz <-> 64 latent channels at 21.5 Hz.

A stack of strided convolutions with snake activations (Stable Audio, arXiv 2402.04825, section
3.1.1). Module names follow the released checkpoint below `pretransform.model.`; its weight norm
is folded into plain weights when it is loaded (`fold_weight_norm`).

Axes: `b` batch, `c` channels, `n` audio samples, `t` latent frames.
"""

from collections.abc import Callable, Iterator, Mapping
from math import ceil
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ..config import OobleckConfig
from .streaming import (
    Activate,
    Joined,
    Streamed,
    StreamedConv,
    StreamedResidual,
    StreamedStridedConv,
    StreamedTransposedConv,
    stream,
)

REACH = 10  # latent frames that a sample has a part in, to either side; the other way it is 8
CHUNK = 48  # latent frames of a piece: a window takes a third of the memory of a whole one
# On a CPU pieces stay in its cache: 4 MB, and enough frames that the weights are worth loading.
CPU_CHUNK, CPU_NUMBERS = 128, 1 << 20


def snake_beta(x: Tensor, alpha: Tensor, beta: Tensor, out: Tensor | None = None) -> Tensor:
    """The periodic activation x + sin(e^alpha x)^2 / e^beta (Snake, arXiv 2006.08195).

    Args:
        x: `b c n`.
        alpha, beta: logarithms of frequency and inverse amplitude, `c`.
        out: `b c n` to write the result to, without gradients.
    """
    alpha, beta = (p.to(x.device, x.dtype).exp()[:, None] for p in (alpha, beta))
    y = torch.mul(alpha, x, out=out)
    return y.sin_().square_().div_(beta + 1e-9).add_(x)  # in place: at full rate `x` is 250 MB


class Snake(nn.Module):
    """`snake_beta` with two learned parameters per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x `b c n` -> `b c n`."""
        if torch.is_grad_enabled() and (self.alpha.requires_grad or x.requires_grad):
            return TrainedSnake.apply(x, self.alpha, self.beta)
        return snake_beta(x, self.alpha, self.beta)

    def into(self, x: Tensor, out: Tensor) -> None:
        """Write the result for x `b c n` to `out`, without gradients."""
        snake_beta(x, self.alpha, self.beta, out)


class TrainedSnake(torch.autograd.Function):
    """`snake_beta` with a backward pass that saves two tensors instead of five."""

    @staticmethod
    def forward(context: Any, x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        """As `snake_beta`."""
        y = snake_beta(x, alpha, beta)
        context.save_for_backward(x, y, alpha, beta)
        return y

    @staticmethod
    def backward(context: Any, slope: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """With u = e^alpha x: dy = (1 + sin(2u) e^alpha / e^beta) dx."""
        x, y, alpha, beta = context.saved_tensors
        rate, gain = (p.to(x.dtype).exp()[:, None] for p in (alpha, beta))
        turned = torch.sin_(2 * rate * x).mul_(slope).mul_(rate / (gain + 1e-9))
        if not any(context.needs_input_grad[1:]):
            return turned.add_(slope), None, None
        to_alpha = torch.linalg.vecdot(turned, x).sum(dim=0)  # einsum takes seven times as long
        share = (gain / (gain + 1e-9))[:, 0]
        to_beta = torch.linalg.vecdot(x - y, slope).sum(dim=0) * share
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

    def streamed(self) -> Streamed:
        """This layer for a sound that comes in pieces."""
        first, wide, second, narrow = self.layers
        return StreamedResidual(StreamedConv(wide, first.into), StreamedConv(narrow, second.into))


class Stage(nn.Module):
    """A sequence of layers and stages under the name that the checkpoint uses."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def __iter__(self) -> Iterator[Any]:
        """The layers of all stages, one by one."""
        for layer in self.layers:
            yield from layer if isinstance(layer, Stage) else (layer,)

    def forward(self, x: Tensor) -> Tensor:
        """x `b c n` -> `b c n`, other channels and length."""
        for layer in self:  # flat: a nested call would keep its input until its last layer is done
            x = layer(x)
        return x

    def streamed(self, limit: int | None = None) -> list[Streamed]:
        """The layers for a sound that comes in pieces.

        Args:
            limit: where the sound gets shorter, pieces are joined up to this many numbers.
        """
        streamed: list[Streamed] = []
        activate: Activate = _copy
        for layer in self:
            if isinstance(layer, Snake):
                activate = layer.into
                continue
            if isinstance(layer, ResidualUnit):
                streamed.append(layer.streamed())
            elif isinstance(layer, nn.ConvTranspose1d):
                streamed.append(StreamedTransposedConv(layer, activate))
            elif layer.stride[0] > 1:
                streamed.append(StreamedStridedConv(layer, activate))
                streamed += [] if limit is None else [Joined(limit)]
            else:
                streamed.append(StreamedConv(layer, activate))
            activate = _copy
        return streamed


def _copy(x: Tensor, out: Tensor) -> None:
    out.copy_(x)


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
        """Audio `b 2 n` in [-1, 1] -> posterior of `b c t`, t = n // hop_length.

        Computed in the dtype of the weights; the result has that of the audio.
        """
        if _fastest_in_pieces(audio):
            return ChunkedOobleck(self).encode(audio)
        return Posterior(*self.encoder(audio.to(self.dtype)).to(audio.dtype).chunk(2, dim=1))

    def decode(self, latent: Tensor) -> Tensor:
        """Latent `b c t` -> audio `b 2 n`, n = t * hop_length; dtypes as in `encode`."""
        if _fastest_in_pieces(latent):
            return ChunkedOobleck(self).decode(latent)
        return self.decoder(latent.to(self.dtype)).to(latent.dtype)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.parameters()).dtype


def _fastest_in_pieces(x: Tensor) -> bool:
    """On a CPU they stay in its cache."""
    return x.device.type == "cpu" and not torch.is_grad_enabled()


class ChunkedOobleck:
    """Encodes and decodes in pieces, one item of a batch at a time: the memory stays flat.

    No number is computed twice, so that the result is that of the whole but for rounding.

    Args:
        oobleck: the VAE.
        device: that it computes on; None is where its weights are.
        check: called between pieces; may raise to stop.
        progress: called after each piece with the share that is done, 0..1.
        chunk: latent frames that are handed in at once; None is what suits the device.
    """

    def __init__(
        self,
        oobleck: Oobleck,
        device: torch.device | None = None,
        check: Callable[[], None] = lambda: None,
        progress: Callable[[float], None] = lambda _: None,
        *,
        chunk: int | None = None,
    ) -> None:
        self.oobleck, self.check, self.progress, self.chunk = oobleck, check, progress, chunk
        self.device = next(oobleck.parameters()).device if device is None else device
        self.config = oobleck.config
        self._limit = CPU_NUMBERS if self.device.type == "cpu" else None

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights of the VAE."""
        return self.oobleck.parameters()

    @torch.no_grad()
    def encode(self, audio: Tensor) -> Posterior:
        """As `Oobleck.encode`; the result is where `audio` is."""
        hop, limit = self.config.hop_length, self._limit
        # the first layer makes the most numbers
        chunk = CHUNK if limit is None else max(1, limit // (self.config.channels * hop))
        starts = range(0, max(1, audio.shape[-1] // hop), self.chunk or chunk)
        items = []
        for index, item in enumerate(audio[:, None]):
            layers, made = self.oobleck.encoder.streamed(limit), list[Tensor]()
            parts = item.tensor_split([start * hop for start in starts[1:]], dim=-1)
            for number, part in enumerate(parts, 1):
                self.check()
                made += stream(layers, self._moved(part), number == len(parts), limit)
                self.progress((index + number / len(parts)) / len(audio))
            items.append(torch.cat(made, dim=-1).to(audio))
        none = audio.new_empty(0, 2 * self.config.latent_channels, audio.shape[-1] // hop)
        return Posterior(*(torch.cat(items) if items else none).chunk(2, dim=1))

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """As `Oobleck.decode`; the result is where `latent` is."""
        samples, limit = latent.shape[-1] * self.config.hop_length, self._limit
        chunk = CHUNK if limit is None else CPU_CHUNK
        whole, at = latent.new_empty(len(latent), self.config.io_channels, samples), samples
        for index, item in enumerate(latent[:, None]):
            layers, at = self.oobleck.decoder.streamed(), 0
            parts = item.tensor_split(ceil(latent.shape[-1] / (self.chunk or chunk)), dim=-1)
            for number, part in enumerate(parts, 1):
                self.check()
                for piece in stream(layers, self._moved(part), number == len(parts), limit):
                    whole[index, :, at : at + piece.shape[-1]] = piece[0]
                    at += piece.shape[-1]
                    self.check()
                    self.progress((index + at / samples) / len(latent))
        return whole[..., :at]

    def _moved(self, part: Tensor) -> Tensor:
        """A part as the layers take it."""
        return part.to(self.device, self.oobleck.dtype)


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
