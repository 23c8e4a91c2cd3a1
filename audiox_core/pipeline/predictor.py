"""The guided network of one sampling run, over all windows of a latent of any length.

Axes: `b` batch, `w` windows, `c` channels, `t` latent frames, `s` tokens, `d` width.
"""

from einops import rearrange
from torch import Tensor

from ..conditioners.assemble import Conditioning
from ..config import SamplingConfig
from ..diffusion.guidance import guided
from ..diffusion.objectives import Predict
from ..models import Backbone, Prepared
from ..windows import Plan, check_windows
from .run_cache import RunCache, predict


def predictor(
    backbone: Backbone, conditioning: Conditioning, sampling: SamplingConfig, windows: Plan
) -> Predict:
    """Make the guided network of one run; its conditions are prepared once.

    Args:
        backbone: the model; it computes in its own dtype.
        conditioning: both branches, for a single window (used for all) or for each window in
            `windows`.
        sampling: its cfg and cfg_rescale are used.
        windows: of the latent.

    Returns:
        A function of the noisy latents `b c t` and the times `b`, in float32.

    Raises:
        SettingsError: the conditioning was made for another length.
    """
    check_windows(conditioning.windows, windows, conditioning.seconds)
    dtype = next(backbone.to_cond_embed.parameters()).dtype
    positive, negative = (
        rearrange(tokens.to(dtype), "1 (w s) d -> w s d", w=conditioning.windows)
        for tokens in (conditioning.positive, conditioning.negative)
    )
    conditions: list[Tensor | None] = [positive]
    if sampling.cfg != 1:
        conditions.append(negative if negative.any() else None)
    cache = RunCache()

    def forward(x: Tensor, t: Tensor, prepared: Prepared) -> Tensor:
        return backbone(x.to(dtype), t, prepared).float()

    def run(x: Tensor, t: Tensor) -> Tensor:
        return predict(backbone, x, t, conditions, plan=windows, cache=cache, forward=forward)

    return run if sampling.cfg == 1 else guided(run, sampling.cfg, sampling.cfg_rescale)
