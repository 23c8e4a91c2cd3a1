"""Synchformer's visual encoder: what moves when (Iashin et al. 2024, arXiv 2401.16423).

A ViT over short segments of 16 frames whose attention is divided: first over time, each place
for itself, then over space, each moment for itself; only the class token sees everything.

Parameter names follow `synchformer_state_dict.pth` below `vfeat_extractor.`; that file's
`patch_embed.proj` (for single pictures) is never run and has no place here. Axes: `n` segments,
`f` frames, `t` moments (pairs of frames), `s` places of a moment, `h` heads, `d` width.
"""

from collections.abc import Callable

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn.functional import gelu

from ..config import SynchformerConfig
from .attention import torch_attention
from .layers import Layers

EPS = 1e-6
SEGMENTS_AT_ONCE = 10  # of the 30 of a window


class DividedAttention(nn.Module):
    """Attention of places within their group and to the class token, which attends to all."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, split: str, join: str, **sizes: int) -> Tensor:
        """x `n (1 + t s) d` -> the same.

        Args:
            x: class token, then places in the order of time, row by row.
            split, join: einops patterns from `n h (t s) d` to groups `g h l d` and, of what
                attention makes of these (`g l (h d)`), back to `n (t s) (h d)`.
            sizes: of the patterns' axes.
        """
        q, k, v = rearrange(self.qkv(x), "n l (qkv h d) -> qkv n h l d", qkv=3, h=self.heads)
        whole = torch_attention(q[:, :, :1], k, v)
        queries = rearrange(q[:, :, 1:], split, **sizes)
        groups = len(queries) // len(x)

        def grouped(kv: Tensor) -> Tensor:
            token = repeat(kv[:, :, :1], "n h l d -> (n g) h l d", g=groups)
            return torch.cat([token, rearrange(kv[:, :, 1:], split, **sizes)], dim=2)

        parts = rearrange(torch_attention(queries, grouped(k), grouped(v)), join, **sizes)
        return self.proj(torch.cat([whole, parts], dim=1))


class MLP(nn.Module):
    """Linear, exact GELU, Linear."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """x `... d` -> `... d`."""
        return self.fc2(gelu(self.fc1(x)))


class Block(nn.Module):
    """Attention over time, over space, then an MLP; each normalized first and residual."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        width = config.width
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width, eps=EPS) for _ in range(3))
        self.attn = DividedAttention(width, config.heads)
        self.timeattn = DividedAttention(width, config.heads)
        self.mlp = MLP(width, config.ff_width)

    def forward(self, x: Tensor, moments: int) -> Tensor:
        """x `n (1 + t s) d` of `t` = `moments` -> the same."""
        x = x + self.over_time(x, moments)
        x = x + self.over_space(x, moments)
        return x + self.mlp(self.norm2(x))

    def over_time(self, x: Tensor, moments: int) -> Tensor:
        """Attention of each place over all moments."""
        split, join = "n h (t s) d -> (n s) h t d", "(n s) t d -> n (t s) d"
        places = (x.shape[1] - 1) // moments
        return self.timeattn(self.norm3(x), split, join, t=moments, s=places)

    def over_space(self, x: Tensor, moments: int) -> Tensor:
        """Attention of each moment over all places."""
        split, join = "n h (t s) d -> (n t) h s d", "(n t) s d -> n (t s) d"
        places = (x.shape[1] - 1) // moments
        return self.attn(self.norm1(x), split, join, t=moments, s=places)


class SpatialSummary(nn.Module):
    """A transformer layer whose class token gathers the places of a moment into one token."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        width = config.width
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=EPS) for _ in range(2))
        self.self_attn = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.linear1 = nn.Linear(width, config.ff_width)
        self.linear2 = nn.Linear(config.ff_width, width)

    def forward(self, x: Tensor) -> Tensor:
        """x `b s d` -> `b d`."""
        token = self.cls_token.expand(len(x), -1, -1)
        seen = self.norm1(torch.cat([token, x], dim=1))
        # of the layer's output the class token alone is read: nothing else is computed
        token = token + self.self_attn(seen[:, :1], seen, seen, need_weights=False)[0]
        token = token + self.linear2(gelu(self.linear1(self.norm2(token))))
        return token[:, 0]


class PatchEmbedding(nn.Module):
    """Blocks of 2 x 16 x 16 pixels -> tokens, in the order of time, row, column."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        size = (config.patch_frames, config.patch, config.patch)
        self.proj = nn.Conv3d(3, config.width, size, stride=size)

    def forward(self, x: Tensor) -> Tensor:
        """x `n 3 f h w` -> `n (t s) d`."""
        return rearrange(self.proj(x), "n d t y x -> n (t y x) d")


class Synchformer(nn.Module):
    """Segments of a video -> one token for every pair of frames."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.config = config
        places = (config.image // config.patch) ** 2
        self.moments = config.segment // config.patch_frames
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + places, config.width))
        self.temp_embed = nn.Parameter(torch.empty(1, self.moments, config.width))
        self.patch_embed_3d = PatchEmbedding(config)
        self.blocks: Layers[Block] = Layers(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=EPS)
        self.spatial_attn_agg = SpatialSummary(config)

    def forward(self, segments: Tensor) -> Tensor:
        """Segments `n 3 16 224 224` in -1..1 -> `n 8 d`, in the weights' dtype."""
        x = self.embed(segments.to(self.cls_token.dtype))
        for block in self.blocks:
            x = block(x, self.moments)
        return self.summarize(self.norm(x[:, 1:]))

    def embed(self, segments: Tensor) -> Tensor:
        """Segments `n 3 f h w` -> `n (1 + t s) d`: where and when each token is, added to it."""
        x = self.patch_embed_3d(segments)
        time = repeat(self.temp_embed, "1 t d -> 1 (t s) d", s=self.pos_embed.shape[1] - 1)
        place = repeat(self.pos_embed[:, 1:], "1 s d -> 1 (t s) d", t=self.moments)
        cls = self.cls_token + self.pos_embed[:, :1]
        return torch.cat([cls.expand(len(x), -1, -1), x + (place + time)], dim=1)

    def summarize(self, x: Tensor) -> Tensor:
        """Tokens of all places `n (t s) d` -> `n t d`."""
        moments = rearrange(x, "n (t s) d -> (n t) s d", t=self.moments)
        return rearrange(self.spatial_attn_agg(moments), "(n t) d -> n t d", t=self.moments)

    def activation_bytes(self, segments: int = SEGMENTS_AT_ONCE) -> int:
        """About the memory that so many segments take at once, beside the weights: 400 MB in half.

        An upper bound, from the widest moment of a block.
        """
        config = self.config
        tokens = self.moments * self.pos_embed.shape[1]
        pixels = 3 * config.segment * config.image**2
        # residual, norm, q k v and their groups, or the two sides of the MLP
        values = tokens * (8 * config.width + 2 * config.ff_width) + pixels
        return segments * values * self.cls_token.element_size()


def sync_features(
    synchformer: Synchformer,
    frames: Tensor,
    *,
    at_once: int | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Tensor:
    """A clip at 25 frames a second -> `1 (n 8) d` float32, on the encoder's device.

    Equal segments are computed once: a still picture, the rest of a window behind the end of a
    short video, what is hidden.

    Args:
        synchformer: the encoder.
        frames: `f 3 224 224` in 0..255; what fills no segment at the end is not read.
        at_once: segments in one forward; None: one on a CPU, which a single segment keeps busy
            already (2.24 s each, of eight 2.68 s: what they need leaves its caches), else ten.
        on_progress: called after each forward with the share that is done, 0..1.
    """
    config = synchformer.config
    names = _names(frames)
    starts = range(0, len(frames) - config.segment + 1, config.step)
    kinds = {start: tuple(names[start : start + config.segment]) for start in starts}
    firsts = {kind: start for start, kind in reversed(kinds.items())}  # of each kind the earliest
    distinct, made = sorted(firsts.values()), []
    weight = synchformer.cls_token
    at_once = at_once or (1 if weight.device.type == "cpu" else SEGMENTS_AT_ONCE)
    for done in range(0, len(distinct), at_once):
        batch = distinct[done : done + at_once]
        # overlapping segments share frames, so what they span is moved, not each of them
        moved = frames[batch[0] : batch[-1] + config.segment].to(weight.device)
        shared = [moved[start - batch[0] :][: config.segment] for start in batch]
        segments = sync_pixels(torch.stack(shared)).to(weight.dtype)
        made.append(synchformer(rearrange(segments, "n f c h w -> n c f h w")).float())
        on_progress((done + len(batch)) / len(distinct))
    place = {start: index for index, start in enumerate(distinct)}
    order = [place[firsts[kind]] for kind in kinds.values()]
    return rearrange(torch.cat(made)[order], "n t d -> 1 (n t) d")


def sync_pixels(frames: Tensor) -> Tensor:
    """Scale frames from 0..255 to the range of Synchformer, -1..1."""
    return frames.float() / 127.5 - 1


def _names(frames: Tensor) -> list[int]:
    """A number for each frame of `f ...`, the same for equal ones next to one another.

    What repeats does so at once: a held picture, blackness, the end of a clip.
    """
    changed = [not torch.equal(a, b) for a, b in zip(frames[1:], frames[:-1], strict=True)]
    return torch.tensor([0, *changed]).cumsum(0).tolist()
