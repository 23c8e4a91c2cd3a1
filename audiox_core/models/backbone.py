"""What the diffusion transformers of the family have around their blocks.

Module names follow the released checkpoints below `model.model.`. Axes: `b` batch, `c` latent
channels, `t` latent frames, `s` condition tokens.
"""

from collections.abc import Callable, Mapping
from typing import Any

from einops import rearrange
from torch import Tensor, nn

from ..config import DiTConfig, MMDiTConfig
from .layers import FourierFeatures, embedding_mlp

# called in place of a block, with the block and its inputs by their names -> `b l dim`
BlockHook = Callable[[nn.Module, Mapping[str, Any]], Tensor]
BlockHooks = Mapping[int, BlockHook]  # by the index of the block


def run_block(block: nn.Module, hook: BlockHook | None, **inputs: Any) -> Tensor:
    """Run a block of a transformer, or what replaces it."""
    return block(**inputs) if hook is None else hook(block, inputs)


class BackboneBase(nn.Module):
    """Predicts v from noisy latents, the diffusion time and prepared conditions."""

    def __init__(
        self, config: DiTConfig | MMDiTConfig, transformer: Callable[[], nn.Module], ops: Any
    ) -> None:
        super().__init__()
        io, width, cond = config.io_channels, config.width, config.cond_dim
        features = 2 * config.time_frequencies
        self.config: Any = config
        self.timestep_features = FourierFeatures(config.time_frequencies)
        self.to_timestep_embed = embedding_mlp(features, width, bias=True, ops=ops)
        self.to_cond_embed = embedding_mlp(cond, cond, bias=False, ops=ops)  # not run by MMDiT
        if config.global_dim:
            self.to_global_embed = embedding_mlp(config.global_dim, width, bias=False, ops=ops)
        self.preprocess_conv = ops.Conv1d(io, io, 1, bias=False)
        self.transformer: Any = transformer()  # here: its weights are drawn in this order
        self.postprocess_conv = ops.Conv1d(io, io, 1, bias=False)

    def predict(
        self,
        x: Tensor,
        t: Tensor,
        prepared: object,
        global_cond: Tensor | None = None,
        hooks: BlockHooks | None = None,
    ) -> Tensor:
        """Predict v.

        Args:
            x: noisy latents, `b c t`, scaled to unit variance.
            t: diffusion time in [0, 1], `b` float32.
            prepared: the conditions, from `prepare`.
            global_cond: `b global_dim`, added to the time token; no released model feeds it.
            hooks: called in place of blocks.
        """
        time_token = self.to_timestep_embed(self.timestep_features(t).to(x.dtype))
        if global_cond is not None:
            time_token = time_token + self.to_global_embed(global_cond)
        x = x + self.preprocess_conv(x)
        y = self.transformer(rearrange(x, "b c t -> b t c"), time_token[:, None], prepared, hooks)
        y = rearrange(y, "b t c -> b c t")
        return y + self.postprocess_conv(y)
