"""Which class of sounds a clip belongs to, learned from rendered sounds alone (and soft hiss).

A clip is described by how its band levels are spread over time and how fast they change, so that
it does not matter when something sounds. Axes: `i` clips, `d` numbers of a clip, `k` bands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ...analysis.spectra import band_levels
from ...training.rng import seeded

SHARES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.97)  # quantiles of a band's levels over time
HEARD_DB = -30.0  # what is softer than the loudest band by more tells no class: it may be noise
LAGS = (1, 3, 10)  # frames between which a change is looked at
STEPS, WIDTH = 300, 64
BLUR = 0.5  # deviations of noise, in training: so that classes are well apart
HISS_DB = -50.0, -20.0  # of the peak


def describe(audio: Tensor, sample_rate: int, shares: Sequence[float] = SHARES) -> Tensor:
    """Audio `c n` -> `d`; `shares` are quantiles of a band's levels over time."""
    levels = band_levels(audio, sample_rate).clamp(min=HEARD_DB)
    spread = torch.quantile(levels, levels.new_tensor(shares), dim=1).flatten()
    changes = [(levels[:, lag:] - levels[:, :-lag]).abs().mean(dim=1) for lag in LAGS]
    return torch.cat([spread, *changes])


def with_hiss(audio: Tensor, draw: torch.Generator) -> Tensor:
    """A sound `c n` under the noise that a VAE may leave: white, pink or red, softly."""
    spectrum = torch.fft.rfft(torch.randn(audio.shape, generator=draw))
    tilt = torch.randint(3, (1,), generator=draw) / 2
    spectrum /= (50 + torch.arange(spectrum.shape[-1])) ** tilt
    noise = torch.fft.irfft(spectrum, audio.shape[-1])
    low, high = HISS_DB
    level = 10 ** ((low + (high - low) * torch.rand(1, generator=draw)) / 20)
    return audio + level * audio.abs().max() / noise.std() * noise


@dataclass(frozen=True)
class Classifier:
    """A small network over descriptions."""

    labels: tuple[str, ...]
    mean: Tensor
    std: Tensor
    network: nn.Module
    shares: tuple[float, ...] = SHARES  # of its descriptions

    @torch.no_grad()
    def label(self, audio: Tensor, sample_rate: int) -> str:
        """The class of a clip `c n`."""
        x = (describe(audio, sample_rate, self.shares) - self.mean) / self.std
        return self.labels[self.network(x[None]).argmax().item()]


def learn(
    descriptions: Tensor, labels: Sequence[str], shares: tuple[float, ...] = SHARES
) -> Classifier:
    """A classifier of descriptions `i d` by their labels; the same every time.

    Args:
        descriptions: of sounds, by `describe`.
        labels: the class of each.
        shares: that they were described with.
    """
    names = tuple(sorted(set(labels)))
    targets = torch.tensor([names.index(label) for label in labels])
    mean, std = descriptions.mean(dim=0), descriptions.std(dim=0) + 1e-3
    draw = torch.Generator().manual_seed(0)
    with seeded(0), torch.enable_grad():
        network = nn.Sequential(
            nn.Linear(descriptions.shape[1], WIDTH), nn.ReLU(), nn.Linear(WIDTH, len(names))
        )
        optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.1)
        for _ in range(STEPS):
            blur = BLUR * torch.randn(descriptions.shape, generator=draw)
            loss = cross_entropy(network((descriptions - mean) / std + blur), targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return Classifier(names, mean, std, network.eval().requires_grad_(False), shares)
