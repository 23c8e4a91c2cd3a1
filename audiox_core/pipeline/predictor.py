"""The guided network of one run, over all windows; what no step changes is computed once.

Axes: `b` batch, `w` windows, `c` channels, `t` latent frames, `s` tokens, `d` width.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor

from ..conditioners.assemble import Conditioning
from ..config import SamplingConfig
from ..diffusion.guidance import guided
from ..diffusion.objectives import Predict
from ..models import Backbone, Prepared
from ..windows import Plan, check_windows, over_windows


def predictor(
    model: Backbone,
    conditioning: Conditioning,
    batch: int,
    sampling: SamplingConfig,
    *,
    windows: Plan,
) -> Predict:
    """The guided network of one run; what does not change from step to step is computed once.

    Args:
        model, conditioning: as in `sample`.
        batch: items that are denoised together.
        sampling: of which cfg and its rescale count.
        windows: of the latent.
    """
    check_windows(conditioning.windows, windows)
    contexts = _Contexts(model, conditioning, batch, guided=sampling.cfg != 1)

    def predict(x: Tensor, t: Tensor) -> Tensor:
        def of_windows(parts: Tensor, group: Sequence[int]) -> Tensor:
            rows = rearrange(parts, "b w c t -> (b w) c t").to(contexts.dtype)
            v = model(rows, t.repeat_interleave(len(group)), contexts.of(group)).float()
            return rearrange(v, "(b w) c t -> b w c t", b=len(x))

        return over_windows(x, windows, of_windows)

    return predict if sampling.cfg == 1 else guided(predict, sampling.cfg, sampling.cfg_rescale)


class _Contexts:
    """Keys and values of the windows of a run: kept for the last group of windows that asked.

    One group is a whole run of up to four windows under guidance; of longer ones the groups take
    turns, so that the memory stays that of one.
    """

    def __init__(
        self, model: Backbone, conditioning: Conditioning, batch: int, *, guided: bool
    ) -> None:
        self.model, self.batch = model, batch
        self.dtype = next(model.to_cond_embed.parameters()).dtype
        count = conditioning.windows
        self.positive, self.negative = (
            rearrange(tokens.to(self.dtype), "1 (w s) d -> w s d", w=count)
            for tokens in (conditioning.positive, conditioning.negative)
        )
        self.guided, self.opposed = guided, guided and bool(self.negative.any())
        self.kept: tuple[tuple[int, ...], Prepared] | None = None

    def of(self, group: Sequence[int]) -> Prepared:
        """The context of `b w` rows (twice as many under guidance: the first half conditioned)."""
        key = tuple(group)
        if self.kept is None or self.kept[0] != key:
            self.kept = None  # first, so that two are never held
            self.kept = (key, self._prepare(key))
        return self.kept[1]

    def _prepare(self, group: tuple[int, ...]) -> Prepared:
        tokens = [self._of(group, self.positive)]
        own = [*range(len(tokens[0]))] if len(tokens[0]) > 1 else [0] * len(group)
        rows: list[int | None] = own * self.batch  # the windows of an item lie together
        if self.opposed:
            tokens.append(self._of(group, self.negative))
            rows += [row + len(tokens[0]) for row in rows]
        elif self.guided:
            rows += [None] * len(rows)
        return self.model.prepare(torch.cat(tokens), rows)

    @staticmethod
    def _of(group: tuple[int, ...], tokens: Tensor) -> Tensor:
        return tokens[list(group)] if len(tokens) > 1 else tokens
