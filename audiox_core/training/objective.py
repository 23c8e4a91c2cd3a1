"""One training step's loss: noise a latent, mask a condition, compare the prediction.

v-prediction (Salimans & Ho 2022, arXiv 2202.00512) or rectified flow (arXiv 2209.03003); the same
network, the same conditioning as in sampling. Axes: `b` clips, `c` channels, `t` latent frames,
`s` tokens, `d` width.
"""

from torch import Tensor
from torch.nn.functional import mse_loss
from torch.quasirandom import SobolEngine

from ..diffusion.objectives import alpha_sigma
from ..models import Backbone


def noised_and_target(
    latent: Tensor, noise: Tensor, t: Tensor, objective: str = "v"
) -> tuple[Tensor, Tensor]:
    """The network's input and its target, both `b c t`.

    Args:
        latent, noise: clean latents and unit noise, `b c t`.
        t: diffusion times in 0..1, `b`.
        objective: "v" or "rectified_flow".
    """
    if objective == "v":
        alpha, sigma = (weight[:, None, None] for weight in alpha_sigma(t))
        return alpha * latent + sigma * noise, alpha * noise - sigma * latent
    level = t[:, None, None]
    return (1 - level) * latent + level * noise, noise - latent


def diffusion_loss(
    model: Backbone,
    latent: Tensor,
    tokens: Tensor,
    *,
    noise: Tensor,
    t: Tensor,
    unconditional: Tensor | None = None,
    objective: str = "v",
    balance: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Mean squared error of a batch, and the prediction `b c t`.

    Args:
        model: in training mode.
        latent, noise, t, objective: as in `noised_and_target`.
        tokens: assembled condition tokens, `b s d`.
        unconditional: `b` bool, whose tokens become zero, for guidance.
        balance: above 0, the error of a clip counts by (1 + balance) / (its power + balance).
    """
    if unconditional is not None:
        tokens = tokens.masked_fill(unconditional[:, None, None], 0)
    noised, target = noised_and_target(latent, noise, t, objective)
    predicted = model(noised, t, tokens)
    if not balance:
        return mse_loss(predicted, target), predicted
    errors = mse_loss(predicted.float(), target, reduction="none").mean(dim=(1, 2))
    power = latent.square().mean(dim=(1, 2))
    return (errors * (1 + balance) / (power + balance)).mean(), predicted


class TimestepSampler:
    """Diffusion times that fill 0..1: a scrambled Sobol sequence.

    Uniform, or with `skew` above 1 denser towards pure noise, where a model decides what sounds
    and when: a time is later than t with probability (1 - t)^(1 / skew).
    """

    def __init__(self, seed: int, skew: float = 1.0) -> None:
        self.engine, self.skew = SobolEngine(1, scramble=True, seed=seed), skew

    def draw(self, count: int) -> Tensor:
        """The next `count` times, `b`."""
        return 1 - (1 - self.engine.draw(count)[:, 0]) ** self.skew

    def seek(self, position: int) -> None:
        """Continue as if `position` times had been drawn in all."""
        if position < self.engine.num_generated:
            self.engine.reset()
        if position > self.engine.num_generated:
            self.engine.fast_forward(position - self.engine.num_generated)
