"""Initial weights that let a new DiT tell absolute positions (our own).

Rotary embeddings give a DiT the distance between latent frames, not their position, which it can
only find by attending to the time token, which is always first. So some heads are initialised to
attend to it, more strongly the closer the distance is to a multiple of the head's wavelength, and
to write the result as sines and cosines of the position. Video frames start with the same
features, so that cross attention can start by attending to the frames of its own time.

Axes: `p` positions, `d` dims, `b` clips, `s` tokens, `c` channels, `t` latent frames.
"""

from math import ceil, cos, log, pi, sin, sqrt
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...models.attention import rotary_angles
from ...models.dit import DiT

WINDOW = 236  # latent frames of a window
WAVELENGTHS = 16.0, 1.6 * WINDOW  # latent frames, from and to
CONTENT = 0.29  # deviation of a new model's projected latents
POSITION_SHARPNESS = 3.0  # amplitude of a head's attention logit for the time token
LOUD = 3.0  # scale of what it writes
LOOK_SHARPNESS = 8.0  # the same for cross attention, for each wavelength
STRAIGHT = 0.1  # scale of a token at which SiLU is almost linear
RIDGE = 1e-3  # of a least squares fit, as a share of the mean variance


def waves(positions: int, dim: int) -> Tensor:
    """Sines and cosines of unit variance (arXiv 1706.03762, section 3.5), `p d`."""
    rates = positions ** (-torch.arange((dim + 1) // 2) / (dim / 2))  # radians a position
    angles = torch.arange(positions)[:, None] * rates
    return sqrt(2) * torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :dim]


@torch.no_grad()
def init_positions(model: DiT) -> None:
    """Initialise heads of the second block to tell the position.

    Args:
        model: with blocks that add zero; torch's global generator draws directions.
    """
    blocks: Any = model.transformer.layers  # modules of modules have no types
    embed: Any = model.to_timestep_embed
    attention = blocks[0].self_attn
    width, dims = attention.to_out.weight.shape[0], attention.head_dim
    half = model.transformer.rotary_dim // 2
    features = [(i, phase) for i in _chosen_rates(model) for phase in (0.0, pi / 2)]
    directions = torch.linalg.qr(torch.randn(width, width)).Q.T[: 2 + len(features)]
    (everywhere, first), written = directions[:2], directions[2:]
    content = CONTENT * sqrt(width)
    blocks[0].ff.ff[2].bias += content * everywhere
    embed[2].bias += 2 * content * first
    for number, (rate, phase) in enumerate(features):
        block, head = blocks[1], slice(number * dims, (number + 1) * dims)
        # after the norm, the shares of the two directions in frames and in the token
        scale = block.pre_norm.weight.mean() * sqrt(width)
        query, key = torch.zeros(2, dims)
        query[half - 1] = key[half - 1] = sqrt(log(WINDOW) * sqrt(dims))  # hardly rotates
        strength = sqrt(POSITION_SHARPNESS * sqrt(dims))
        query[rate] += strength
        key[rate] += strength * cos(phase)
        key[rate + half] -= strength * sin(phase)
        queries, keys, values = block.self_attn.to_qkv.weight.chunk(3)
        queries[head] = torch.outer(query, everywhere) / (scale * sqrt(1 / 2))
        keys[head] = torch.outer(key, first) / (scale * sqrt(4 / 5))
        values[head.start] = first / (scale * sqrt(4 / 5))
        block.self_attn.to_out.weight[:, head.start] = LOUD * written[number]


def clock(model: DiT, positions: Tensor) -> Tensor:
    """Sines and cosines of positions that the heads tell, `p k`; k is 0 for too few heads."""
    angles = positions[:, None] * _rates(model)[_chosen_rates(model)].to(positions)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _rates(model: DiT) -> Tensor:
    """Rates of the rotary embedding, radians a latent frame."""
    dim = model.transformer.rotary_dim
    return rotary_angles(2, dim)[1, : dim // 2]


def _chosen_rates(model: DiT) -> list[int]:
    """Indices of the rates that the heads of one block tell, two heads each."""
    shortest, longest = WAVELENGTHS
    found = [i for i, r in enumerate(_rates(model)) if shortest <= 2 * pi / r <= longest]
    layers: Any = model.transformer.layers
    heads = layers[0].cross_attn.heads
    if len(layers) < 2 or heads < 2:
        return []
    return found[:: max(1, ceil(len(found) / (heads // 2)))]


@torch.no_grad()
def init_cross_attention(
    model: DiT, tokens: Tensor, positions: Tensor, noised: Tensor, t: Tensor
) -> None:
    """Initialise the second block's cross attention to attend to frames of its own time.

    Linear maps, fitted by least squares, read positions from latent frames and from tokens.

    Args:
        model: of `init_positions`, with blocks that add zero.
        tokens: of pictures, `b s d`.
        positions: of the tokens, in latent frames, `s`.
        noised, t: latents `b c t` and diffusion times `b`, of any clips.
    """
    init_values(model, tokens)
    if not _chosen_rates(model):
        return
    block: Any = model.transformer.layers[1]
    states: list[Tensor] = []
    hook = block.cross_attend_norm.register_forward_hook(
        lambda *call: states.append(call[2][:, 1:])
    )
    model(noised, t, torch.zeros_like(tokens[:1]).expand(len(noised), -1, -1))
    hook.remove()
    frames = torch.arange(noised.shape[2]).to(positions)
    attention = block.cross_attn
    keys = attention.to_kv.weight.chunk(2)[0]
    for weight, x, at in (
        (attention.to_q.weight, states[0], frames),
        (keys, model.to_cond_embed(tokens), positions),
    ):
        fitted = sqrt(LOOK_SHARPNESS * sqrt(attention.head_dim)) * _fit(x, clock(model, at))
        weight.zero_()
        for head in weight.split(attention.head_dim):
            head[: fitted.shape[1]] = fitted.T


@torch.no_grad()
def init_values(model: DiT, tokens: Tensor) -> None:
    """Initialise values of cross attention so that tokens `... d` arrive with unit variance."""
    first, _, last = cast(Any, model.to_cond_embed)
    nn.init.eye_(first.weight).mul_(STRAIGHT)
    nn.init.eye_(last.weight).mul_(2 / STRAIGHT / tokens.std())  # SiLU halves what is small
    embedded = model.to_cond_embed(tokens)
    for block in cast(Any, model.transformer.layers):
        _, values = block.cross_attn.to_kv.weight.chunk(2)
        values /= (embedded @ values.T).std()


def _fit(x: Tensor, target: Tensor) -> Tensor:
    """The linear map `d k` from `b p d` to the target `p k` with the least squared error."""
    rows = x.flatten(0, 1)
    square = rows.T @ rows
    square += RIDGE * square.diagonal().mean() * torch.eye(len(square)).to(square)
    return torch.linalg.solve(square, rows.T @ target.repeat(len(x), 1))


def init_frame_positions(embedding: nn.Parameter) -> None:
    """Initialise the positions of a video's frames, `1 p d`."""
    with torch.no_grad():
        embedding.copy_(waves(*embedding.shape[1:]))
