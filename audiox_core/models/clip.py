"""The image tower of CLIP, a ViT (Radford et al. 2021, arXiv 2103.00020).

Parameter names follow the published checkpoints. Computed here and not by a library, whose import
takes longer than loading and running the tower. Axes: `b` pictures, `q` tokens of a picture, `h`
heads, `d` width.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from ..config import ClipConfig
from .attention import torch_attention
from .layers import zero_embedding

EPS = 1e-5


class Embeddings(nn.Module):
    """Patches of a picture and the class token, with their positions."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        width, patch = config.width, config.patch
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.patch_embedding = nn.Conv2d(3, width, patch, patch, bias=False)
        self.position_embedding = zero_embedding(config.tokens, width)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels `b 3 h w` -> `b q d`."""
        patches = rearrange(self.patch_embedding(pixels), "b d h w -> b (h w) d")
        token = self.class_embedding.expand(len(patches), 1, -1)
        return torch.cat([token, patches], dim=1) + self.position_embedding.weight


class SelfAttention(nn.Module):
    """Attention of all tokens of a picture."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj, self.v_proj, self.q_proj = (nn.Linear(width, width) for _ in range(3))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """x `b q d` -> `b q d`."""
        q, k, v = (
            rearrange(project(x), "b q (h d) -> b h q d", h=self.heads)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(torch_attention(q, k, v))


class MLP(nn.Module):
    """Linear, the approximation x sigmoid(1.702 x) of GELU, Linear."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """x `... d` -> `... d`."""
        inner = self.fc1(x)
        return self.fc2(inner * torch.sigmoid(1.702 * inner))


class Block(nn.Module):
    """Attention, then an MLP; each is normalized first and added."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config.width, config.heads)
        self.layer_norm1 = nn.LayerNorm(config.width, eps=EPS)
        self.mlp = MLP(config.width, config.ff_width)
        self.layer_norm2 = nn.LayerNorm(config.width, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """x `b q d` -> `b q d`."""
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    """The blocks."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(config) for _ in range(config.depth))

    def forward(self, x: Tensor) -> Tensor:
        """x `b q d` -> `b q d`."""
        for layer in self.layers:
            x = layer(x)
        return x


class VisionModel(nn.Module):
    """Embeddings and blocks; the last norm is in the files and not used by AudioX."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.width, eps=EPS)  # as it is spelled in the files
        self.encoder = Encoder(config)
        self.post_layernorm = nn.LayerNorm(config.width, eps=EPS)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels `b 3 h w` -> `b q d`, before the last norm."""
        return self.encoder(self.pre_layrnorm(self.embeddings(pixels)))


class ClipVision(nn.Module):
    """The tower and its projection, which is in the files and not used by AudioX."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.vision_model = VisionModel(config)
        self.visual_projection = nn.Linear(config.width, config.projection, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalized pixels `b 3 h w` -> the last hidden states `b q d`, before the last norm."""
        return self.vision_model(pixels)
