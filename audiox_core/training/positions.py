"""How a new model knows when it is, before it learned anything.

A DiT's latent frames know their distance from one another, by rotation, and not their place; that
they can only find by looking at the time token, which always stands first. So some heads begin by
looking there, the more the nearer their distance is to a whole number of their own wavelength,
and write down how much they saw: sines and cosines of the place. Pictures begin with the same.

Axes: `p` places, `d` dims.
"""

from math import cos, log, pi, sin, sqrt

import torch
from torch import Tensor, nn

from ..models.dit import DiT

PLACES = 236  # latent frames of a window
WAVELENGTHS = 16.0, 1.6 * PLACES  # latent frames, from and to
CONTENT = 0.29  # deviation of a new model's projected latents
STARE = 3.0  # by how much a head's interest in the time token rises and falls
LOUD = 3.0  # of what it writes down


def waves(places: int, dim: int) -> Tensor:
    """Sines and cosines of unit variance (arXiv 1706.03762, section 3.5), `p d`."""
    rates = places ** (-torch.arange((dim + 1) // 2) / (dim / 2))  # radians a place, to 1 in all
    angles = torch.arange(places)[:, None] * rates
    return sqrt(2) * torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :dim]


@torch.no_grad()
def begin_places(model: DiT) -> None:
    """Let heads of the second block, and of more where it has too few, tell the place.

    Args:
        model: whose blocks add nothing yet; torch's global generator draws the directions.
    """
    blocks = model.transformer.layers
    attention = blocks[0].self_attn
    width, dims = attention.to_out.weight.shape[0], attention.head_dim
    half, heads = model.transformer.rotary_dim // 2, width // dims
    rates = 10_000.0 ** (-torch.arange(half) / half)
    found = [i for i, r in enumerate(rates) if WAVELENGTHS[0] <= 2 * pi / r <= WAVELENGTHS[1]]
    features = [(i, phase) for i in reversed(found) for phase in (0.0, pi / 2)]
    features = features[: heads * (len(blocks) - 1)]
    directions = torch.linalg.qr(torch.randn(width, width)).Q.T[: 2 + len(features)]
    (everywhere, first), written = directions[:2], directions[2:]
    content = CONTENT * sqrt(width)
    blocks[0].ff.ff[2].bias += content * everywhere
    model.to_timestep_embed[2].bias += 2 * content * first
    for number, (rate, phase) in enumerate(features):
        block = blocks[1 + number // heads]
        head = slice(number % heads * dims, (number % heads + 1) * dims)
        # what the norm makes of the two directions: the frames' is half of them, the token's most
        scale = block.pre_norm.weight.mean() * sqrt(width)
        asks, answers = torch.zeros(2, dims)
        asks[half - 1] = answers[half - 1] = sqrt(log(PLACES) * sqrt(dims))  # hardly turns
        strength = sqrt(STARE * sqrt(dims))
        asks[rate] += strength
        answers[rate] += strength * cos(phase)
        answers[rate + half] -= strength * sin(phase)
        queries, keys, values = block.self_attn.to_qkv.weight.chunk(3)
        queries[head] = torch.outer(asks, everywhere) / (scale * sqrt(1 / 2))
        keys[head] = torch.outer(answers, first) / (scale * sqrt(4 / 5))
        values[head.start] = first / (scale * sqrt(4 / 5))
        block.self_attn.to_out.weight[:, head.start] = LOUD * written[number]


def begin_frames(embedding: nn.Parameter) -> None:
    """Positions of a video's frames, `1 p d`."""
    with torch.no_grad():
        embedding.copy_(waves(*embedding.shape[1:]))
