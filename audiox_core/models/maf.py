"""Multi-modal adaptive fusion (MAF): each modality learns from the others before the transformer.

Runs once a generation. Parameter names follow the released checkpoint below `maf_block.`; its
three slots are called v, t, a there and were trained on text, video, audio, in this order.

Axes: `b` batch, `s` tokens of a modality, `e` experts, `d` width.
"""

import torch
from torch import Tensor, nn

from ..config import MAFConfig


class MAFBlock(nn.Module):
    """Expert tokens attend to all modalities; their means are added to the tokens of each."""

    def __init__(self, config: MAFConfig) -> None:
        super().__init__()
        width, heads = config.width, config.heads
        self.unified_experts = nn.Parameter(torch.empty(3 * config.experts, width))
        for slot in "vta":
            self.register_parameter(f"bypass_gate_{slot}", nn.Parameter(torch.empty(())))
            self.add_module(f"norm_{slot}2", nn.LayerNorm(width))
        self.gating_network = nn.Sequential(
            nn.Linear(3 * width, width), nn.GELU(), nn.Linear(width, 3)
        )
        self.cross_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm1 = nn.LayerNorm(width)
        layer = nn.TransformerEncoderLayer(
            width, heads, config.ff_width, activation="gelu", norm_first=True, batch_first=True
        )
        self.fusion_transformer = nn.TransformerEncoder(
            layer, config.depth, enable_nested_tensor=False
        )

    def forward(self, text: Tensor, video: Tensor, audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens `b s d` of each modality -> the same, adapted to the others."""
        slots = text, video, audio
        experts = self.fuse(self.read(slots)).chunk(3, dim=1)
        return tuple(
            tokens
            + self.get_parameter(f"bypass_gate_{name}").sigmoid()
            * self.get_submodule(f"norm_{name}2")(own.mean(dim=1, keepdim=True))
            for name, tokens, own in zip("vta", slots, experts, strict=True)
        )

    def gates(self, slots: tuple[Tensor, ...]) -> Tensor:
        """The gate of each modality, `b 3` in 0..1, from the mean of its tokens and padding."""
        means = torch.cat([tokens.mean(dim=1) for tokens in slots], dim=-1)
        return self.gating_network(means).sigmoid()

    def read(self, slots: tuple[Tensor, ...]) -> Tensor:
        """The experts after cross attention to all modalities, `b 3e d`."""
        gates = self.gates(slots)
        context = [tokens * gates[:, None, i, None] for i, tokens in enumerate(slots)]
        context = torch.cat(context, dim=1)
        experts = self.unified_experts.expand(len(context), -1, -1)
        found, _ = self.cross_attn(experts, context, context, need_weights=False)
        return self.norm1(experts + found)

    def fuse(self, experts: Tensor) -> Tensor:
        """The experts after self attention among themselves, `b 3e d`."""
        return self.fusion_transformer(experts)
