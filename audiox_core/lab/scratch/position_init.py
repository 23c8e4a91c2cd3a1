"""How a new model knows when it is, before it learned anything.

A DiT's latent frames know their distance from one another, by rotation, and not their place; that
they can only find by looking at the time token, which always stands first. So some heads begin by
looking there, the more the nearer their distance is to a whole number of their own wavelength,
and write down how much they saw: sines and cosines of the place. Pictures begin with the same, so
that cross attention can begin by looking at the pictures of its own moment.

Axes: `p` places, `d` dims, `b` clips, `s` tokens, `c` channels, `t` latent frames.
"""

from math import ceil, cos, log, pi, sin, sqrt

import torch
from torch import Tensor, nn

from ...models.attention import rotary_angles
from ...models.dit import DiT

WINDOW = 236  # latent frames of a window
WAVELENGTHS = 16.0, 1.6 * WINDOW  # latent frames, from and to
CONTENT = 0.29  # deviation of a new model's projected latents
POSITION_SHARPNESS = 3.0  # by how much a head's interest in the time token rises and falls
LOUD = 3.0  # of what it writes down
LOOK_SHARPNESS = 8.0  # the same as POSITION_SHARPNESS of cross attention, for each wavelength
STRAIGHT = 0.1  # of a token, where SiLU hardly bends
RIDGE = 1e-3  # of a least squares fit, as a share of the mean variance


def waves(places: int, dim: int) -> Tensor:
    """Sines and cosines of unit variance (arXiv 1706.03762, section 3.5), `p d`."""
    rates = places ** (-torch.arange((dim + 1) // 2) / (dim / 2))  # radians a place, to 1 in all
    angles = torch.arange(places)[:, None] * rates
    return sqrt(2) * torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :dim]


@torch.no_grad()
def init_positions(model: DiT) -> None:
    """Let heads of the second block tell the place.

    Args:
        model: whose blocks add nothing yet; torch's global generator draws the directions.
    """
    blocks = model.transformer.layers
    attention = blocks[0].self_attn
    width, dims = attention.to_out.weight.shape[0], attention.head_dim
    half = model.transformer.rotary_dim // 2
    features = [(i, phase) for i in _chosen_rates(model) for phase in (0.0, pi / 2)]
    directions = torch.linalg.qr(torch.randn(width, width)).Q.T[: 2 + len(features)]
    (everywhere, first), written = directions[:2], directions[2:]
    content = CONTENT * sqrt(width)
    blocks[0].ff.ff[2].bias += content * everywhere
    model.to_timestep_embed[2].bias += 2 * content * first
    for number, (rate, phase) in enumerate(features):
        block, head = blocks[1], slice(number * dims, (number + 1) * dims)
        # what the norm makes of the two directions: the frames' is half of them, the token's most
        scale = block.pre_norm.weight.mean() * sqrt(width)
        asks, answers = torch.zeros(2, dims)
        asks[half - 1] = answers[half - 1] = sqrt(log(WINDOW) * sqrt(dims))  # hardly turns
        strength = sqrt(POSITION_SHARPNESS * sqrt(dims))
        asks[rate] += strength
        answers[rate] += strength * cos(phase)
        answers[rate + half] -= strength * sin(phase)
        queries, keys, values = block.self_attn.to_qkv.weight.chunk(3)
        queries[head] = torch.outer(asks, everywhere) / (scale * sqrt(1 / 2))
        keys[head] = torch.outer(answers, first) / (scale * sqrt(4 / 5))
        values[head.start] = first / (scale * sqrt(4 / 5))
        block.self_attn.to_out.weight[:, head.start] = LOUD * written[number]


def clock(model: DiT, places: Tensor) -> Tensor:
    """Sines and cosines of places that the model's heads tell, `p k`; k is 0 where they cannot."""
    angles = places[:, None] * _rates(model)[_chosen_rates(model)].to(places)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _rates(model: DiT) -> Tensor:
    """Of the rotation, radians a latent frame."""
    dim = model.transformer.rotary_dim
    return rotary_angles(2, dim)[1, : dim // 2]


def _chosen_rates(model: DiT) -> list[int]:
    """Which of the rates the heads of one block tell, two heads each, evenly chosen."""
    shortest, longest = WAVELENGTHS
    found = [i for i, r in enumerate(_rates(model)) if shortest <= 2 * pi / r <= longest]
    layers = model.transformer.layers
    heads = layers[0].cross_attn.heads
    if len(layers) < 2 or heads < 2:
        return []
    return found[:: max(1, ceil(len(found) / (heads // 2)))]


@torch.no_grad()
def init_cross_attention(
    model: DiT, tokens: Tensor, places: Tensor, noised: Tensor, t: Tensor
) -> None:
    """Let the second block's cross attention look at the pictures of its own moment.

    Where the latent frames are, and of when the tokens speak, is read off by linear maps.

    Args:
        model: of `init_positions`; its blocks add nothing yet.
        tokens: of pictures, `b s d`.
        places: of which they speak, in latent frames, `s`.
        noised, t: latents `b c t` and diffusion times `b`, of any clips.
    """
    init_values(model, tokens)
    if not _chosen_rates(model):
        return
    block, seen = model.transformer.layers[1], []
    hook = block.cross_attend_norm.register_forward_hook(lambda *call: seen.append(call[2][:, 1:]))
    model(noised, t, torch.zeros_like(tokens[:1]).expand(len(noised), -1, -1))
    hook.remove()
    frames = torch.arange(noised.shape[2]).to(places)
    attention = block.cross_attn
    keys = attention.to_kv.weight.chunk(2)[0]
    for weight, x, at in (
        (attention.to_q.weight, seen[0], frames),
        (keys, model.to_cond_embed(tokens), places),
    ):
        scaled = sqrt(LOOK_SHARPNESS * sqrt(attention.head_dim)) * _read_off(x, clock(model, at))
        weight.zero_()
        for head in weight.split(attention.head_dim):
            head[: scaled.shape[1]] = scaled.T


@torch.no_grad()
def init_values(model: DiT, tokens: Tensor) -> None:
    """Let tokens `... d` reach every block as they are, at unit variance: it hardly hears less."""
    first, last = (model.to_cond_embed.get_parameter(f"{layer}.weight") for layer in (0, 2))
    nn.init.eye_(first).mul_(STRAIGHT)
    nn.init.eye_(last).mul_(2 / STRAIGHT / tokens.std())  # SiLU halves what is small
    embedded = model.to_cond_embed(tokens)
    for block in model.transformer.layers:
        _, values = block.cross_attn.to_kv.weight.chunk(2)
        values /= (embedded @ values.T).std()


def _read_off(x: Tensor, wanted: Tensor) -> Tensor:
    """The linear map that makes of `b p d` best what is `wanted` at each place, `p k` -> `d k`."""
    rows = x.flatten(0, 1)
    square = rows.T @ rows
    square += RIDGE * square.diagonal().mean() * torch.eye(len(square)).to(square)
    return torch.linalg.solve(square, rows.T @ wanted.repeat(len(x), 1))


def init_frame_positions(embedding: nn.Parameter) -> None:
    """Positions of a video's frames, `1 p d`."""
    with torch.no_grad():
        embedding.copy_(waves(*embedding.shape[1:]))
