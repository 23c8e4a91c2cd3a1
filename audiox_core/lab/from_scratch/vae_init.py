"""A VAE's first weights: a channel vocoder.

The fine stages of the encoder begin as modified discrete cosine transforms (Princen, Johnson,
Bradley 1987) and those of the decoder as their inverses, which splits a sound into bands and
joins it again. The coarsest stage takes the energy of each band, as the snakes' squared sine
gives it, a latent channel stands for some neighbouring bands, and the decoder puts a fixed
pattern of that loudness in their place. Where there are latent channels enough, the lowest bands
are transformed once more and keep their phase, so that notes keep their pitch. The last fine stage
has no channels for the parts of the highest bands: only the loudness of each whole band is kept.
So a new VAE already sounds when and how high its input does, and learns the rest. From torch's own
weights a signal dies out on its way through some twenty layers, and the first thing that is learned
is to do without the latents.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log1p, pi, sqrt
from typing import Any

import torch
from torch import Tensor, nn

from ...config import OobleckConfig
from ...models.oobleck import Oobleck, ResidualUnit, Snake

GAIN = 3.0  # usual sounds have a deviation of 0.1; activations want more
RANDOM = 0.1  # of torch's own weights: what no band needs can learn, and is not heard yet
RESIDUAL = 0.05  # the same, at the end of a residual unit
STRAIGHT = 4.0  # beta of snakes that are almost a straight line
BENT = 1.0  # of those that turn a latent, about the logarithm of a loudness, into a loudness
LEVEL = 0.7  # deviation of latents
SATURATED = (0.2, 1.0, 5.0)  # 1 / amplitude at which a band counts as there; in turn
STEADY = -7.0  # raw scale of the latents' spread: 0.001
SIDE = 3.0  # a band of left minus right counts as one of a so much higher frequency
WIDEN = 12  # bands from which on a latent channel stands for more and more of them
HIGH = 1.0  # gain of the noise of a high band: too soft at first, since most sounds have none
HIGHS = 3  # of the highest bands that share a latent channel
PHASES = 5 / 8  # largest share of the latent channels that carry the phase of low bands
TUNED = 12, 0.1  # latent frames and deviation of the noise by which levels are set


@dataclass(frozen=True)
class Band:
    """What a channel carries: frequencies as shares of the highest; backwards where low > high."""

    side: bool  # left minus right, else both together
    low: float
    high: float

    def split(self, parts: int) -> "list[Band]":
        """The bands that a transform makes of this one; it turns every second one round."""
        step = (self.high - self.low) / parts
        edges = [(self.low + k * step, self.low + (k + 1) * step) for k in range(parts)]
        return [Band(self.side, *edge[:: -1 if k % 2 else 1]) for k, edge in enumerate(edges)]

    @property
    def rank(self) -> float:
        """The smaller, the sooner it gets a channel."""
        return min(self.low, self.high) * (SIDE if self.side else 1.0)


@torch.no_grad()
def init_vae(vae: Oobleck) -> None:
    """Give a new VAE's weights their first values; torch's global generator is not asked."""
    config = vae.config
    down: list[Any] = [layer for layer in vae.encoder if isinstance(layer, nn.Conv1d)]
    up: list[Any] = [
        layer for layer in vae.decoder if isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d))
    ]
    _quiet(vae, (*down, *up))
    _begin_outer(down[0].weight, up[-1].weight)
    bands = [Band(side=False, low=0, high=1), Band(side=True, low=0, high=1)]
    phases = _phases(config)
    fine = list(zip(config.strides[:-1], down[1:-2], up[-2:1:-1], strict=True))
    highs: list[int] = []
    for number, (stride, into, out) in enumerate(fine):
        last = number == len(fine) - 1
        if last and number:
            highs = _missed(bands, stride, len(into.weight) - phases)
        bands = _begin_stage(
            stride, into.weight, out.weight, bands, twice=phases * last, highs=len(highs)
        )
    _begin_highs(vae, highs, len(bands))
    phased = [place for place, band in enumerate(bands) if not band.side][:phases]
    carried = len(bands) + len(highs)
    smooth = range(len(bands), carried)
    _begin_energies(down[-2].weight, up[1].weight, carried, phased, smooth)
    kept = _begin_phases(config.strides[-1], down[-2].weight, up[1].weight, carried, phases)
    _begin_latents(config, down[-1], up[0].weight, bands=carried, kept=kept, highs=len(highs))
    first: Any = vae.decoder.layers[1]
    first.layers[0].beta[[c for c in range(carried) if c not in phased]] = BENT
    gain = _set_levels(vae, down, up)
    up[1].weight[kept] /= gain


def _phases(config: OobleckConfig) -> int:
    """How many bands keep their phase; 0 where some layer is too narrow for it."""
    if len(config.strides) == 1:
        return 0
    *_, fine, coarse = (config.channels * m for m in config.multipliers)
    phases = int(PHASES * config.latent_channels / config.strides[-1])
    fits = fine >= 4 * phases and coarse >= fine + phases * (config.strides[-1] - 1)
    return phases if fits else 0


def _quiet(vae: Oobleck, convolutions: Sequence[Any]) -> None:
    """Straight snakes but for those that hear how loud a band is; small random weights.

    Their squared sines soon end at one: what a few neighbours say together is about the logarithm
    of a loudness, so that latents are less of rare spikes, which diffusion learns badly.
    """
    for layer in convolutions:
        layer.weight.mul_(RANDOM)
        if layer.bias is not None:
            layer.bias.zero_()
    coarsest: Any = vae.encoder.layers[len(vae.config.strides)]
    *_, hearing, _ = coarsest.layers
    for layer in vae.modules():
        if isinstance(layer, Snake):
            layer.beta.fill_(STRAIGHT)
        if isinstance(layer, ResidualUnit):
            unit: Any = layer.layers
            for convolution in unit[1::2]:
                convolution.bias.zero_()
            unit[3].weight.mul_(RESIDUAL)
    rates = torch.tensor(SATURATED).repeat(len(hearing.alpha))[: len(hearing.alpha)]
    hearing.alpha.copy_(rates.log())
    hearing.beta.fill_(0)


def mdct(bands: int) -> Tensor:
    """The transform's filters with a sine window, `bands 2*bands`: orthonormal, lapped by half."""
    n = torch.arange(2 * bands) + 0.5
    k = torch.arange(bands)[:, None] + 0.5
    window = torch.sin(pi * n / (2 * bands))
    return sqrt(2 / bands) * window * torch.cos(pi / bands * (n + bands / 2) * k)


def _begin_outer(into: Tensor, out: Tensor) -> None:
    """First `c 2 k` and last `2 c k` weights: left and right to both together and difference."""
    middle, turn = into.shape[-1] // 2, torch.tensor([[1.0, 1.0], [1.0, -1.0]]) * sqrt(0.5)
    into[:2] = 0
    into[:2, :, middle] = GAIN * turn
    out[:, :2] = 0
    out[:, :2, middle] = turn / GAIN


def _split(bands: Sequence[Band], stride: int) -> list[tuple[Band, int, int]]:
    """The bands of a stage, lowest first: each with its parent's place and its number there."""
    found = [
        (band, channel, number)
        for channel, parent in enumerate(bands)
        for number, band in enumerate(parent.split(stride))
    ]
    return sorted(found, key=lambda item: item[0].rank)


def _missed(bands: Sequence[Band], stride: int, room: int) -> list[int]:
    """Places of the bands of both sides most of whose parts find no place among `room` channels.

    Each of them takes one of these channels itself.
    """
    found = _split(bands, stride)
    both = [place for place, band in enumerate(bands) if not band.side]
    for missed in range(min(len(both), room)):
        parts = Counter(parent for _, parent, _ in found[: room - missed])
        places = [place for place in both if parts[place] < stride / 2]
        if len(places) <= missed:
            return places
    return []


def _begin_stage(
    stride: int,
    into: Tensor,
    out: Tensor,
    bands: Sequence[Band],
    *,
    twice: int = 0,
    highs: int = 0,
) -> list[Band]:
    """One stage's convolutions `c d k`; the bands that its channels carry, lowest first.

    The `highs` channels that follow are left for `_begin_highs`. The next `twice` channels carry
    the lowest bands of both sides together a second time.
    """
    filters, found = mdct(stride), _split(bands, stride)
    kept = found[: len(into) - twice - highs]
    copies = [item for item in found if not item[0].side][:twice]
    places = [*range(len(kept)), *range(len(kept) + highs, len(kept) + highs + len(copies))]
    for place, (_, channel, number) in zip(places, [*kept, *copies], strict=True):
        for weight in (into, out):
            weight[place] = 0
            weight[place, channel] = filters[number]
    return [band for band, _, _ in kept]


def _begin_highs(vae: Oobleck, highs: Sequence[int], first: int) -> None:
    """Put the loudness of these bands into the channels from `first` on; in the decoder it becomes
    the level of a noise. A snake that bends takes the loudness; the next one leaves it as it is."""
    if not highs:
        return
    number = len(vae.config.strides)
    fine: Any = vae.encoder.layers[number - 1]
    coarse: Any = vae.encoder.layers[number]
    back: Any = vae.decoder.layers[2]
    *_, hearing, down = fine.layers
    up = back.layers[1]
    window = torch.hann_window(down.weight.shape[-1], periodic=False)
    draw = torch.Generator().manual_seed(1)
    for channel, band in enumerate(highs, first):
        hearing.alpha[band], hearing.beta[band] = 0.0, 0.0
        coarse.layers[-2].beta[channel] = STRAIGHT
        down.weight[channel], up.weight[channel] = 0, 0
        down.weight[channel, band] = 3 * window / window.sum()
        signs = 2 * torch.randint(0, 2, (len(window),), generator=draw) - 1
        up.weight[channel, band] = HIGH * window * signs


def _begin_energies(
    into: Tensor, out: Tensor, bands: int, silent: Sequence[int], smooth: Sequence[int]
) -> None:
    """The coarsest convolutions `c d k`: a mean over time into each band's channel, and a pattern
    of ones and minus ones out of it, but for the `silent` ones, whose phase is kept elsewhere, and
    the `smooth` ones, whose pattern comes later."""
    window = torch.hann_window(into.shape[-1], periodic=False)
    signs = torch.randint(0, 2, (bands, len(window)), generator=torch.Generator().manual_seed(0))
    for channel in range(min(bands, len(into))):
        into[channel, channel] += 3 * window / window.sum()
        if channel in smooth:
            out[channel, channel] += window
        elif channel not in silent:
            out[channel, channel] += window * (2 * signs[channel] - 1)


def _begin_phases(stride: int, into: Tensor, out: Tensor, bands: int, phases: int) -> list[int]:
    """Transform the copies of the lowest bands once more; the channels that hold the result."""
    filters, channels = mdct(stride), []
    for band in range(phases):
        for number in range(stride):
            channel = bands + band * stride + number
            into[channel, bands + band] = filters[number]
            out[channel, bands + band] = filters[number]
            channels.append(channel)
    return channels


def _begin_latents(
    config: OobleckConfig,
    into: nn.Conv1d,
    out: Tensor,
    *,
    bands: int,
    kept: Sequence[int],
    highs: int,
) -> None:
    """Neighbouring bands in one latent channel, the more the higher they are; `kept` in one each.

    A few channels between the lowest bands are left out and begin as faint mixtures. The last
    `highs` bands have channels of their own.
    """
    channels = config.latent_channels - len(kept)
    for latent, channel in enumerate(kept, channels):
        into.weight[latent, channel, into.weight.shape[-1] // 2] = 1
        out[channel, latent, out.shape[-1] // 2] = 1
    channels -= ceil(highs / HIGHS)
    low = bands - highs
    whole = log1p(low / WIDEN)
    for band in range(min(bands, into.in_channels)):  # the lowest first
        latent = min(int(log1p(band / WIDEN) / whole * channels), channels - 1)
        if band >= low:
            latent = channels + (band - low) // HIGHS
        into.weight[latent, band, into.weight.shape[-1] // 2] += 1
        out[band, latent, out.shape[-1] // 2] += 1


def _set_levels(vae: Oobleck, down: Sequence[Any], up: Sequence[Any]) -> float:
    """Scale the coarse convolutions so that noise comes back about as loud as it was.

    Returns:
        The product of all scales.
    """
    config, (frames, loud) = vae.config, TUNED
    noise = torch.randn(
        4,
        config.io_channels,
        frames * config.hop_length,
        generator=torch.Generator().manual_seed(0),
    )
    x, before, gain = loud * noise, torch.ones(()), 1.0
    for layer in vae.encoder:
        if layer is down[-2]:
            before = x.std()
        if layer in (down[-2], down[-1]):
            answer = layer(x)[:, : config.latent_channels] if layer is down[-1] else layer(x)
            scale = LEVEL / answer.std()
            layer.weight.mul_(scale)
            gain *= scale.item()
        x = layer(x)
    down[-1].weight[config.latent_channels :].mul_(RANDOM)
    down[-1].bias[config.latent_channels :] = STEADY
    x = x[:, : config.latent_channels]
    for layer in vae.decoder:
        if layer in (up[0], up[1]):
            scale = LEVEL * (1 if layer is up[0] else before) / layer(x).std()
            layer.weight.mul_(scale)
            gain *= scale.item()
        x = layer(x)
    return gain
