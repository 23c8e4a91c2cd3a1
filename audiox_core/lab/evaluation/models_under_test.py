"""The model that is measured, the same before training, and how many clips each case looks at."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...pipeline.pipeline import Pipeline
from ...pipeline.request import Request
from .catalogue import SYNTHETIC, Catalogue

OnClip = Callable[[], object]


@dataclass(frozen=True)
class Sizes:
    """How many clips each case looks at."""

    text: int = 200
    video: int = 100
    rates: int = 18  # at each frame rate
    conflict: int = 24  # at each strength
    music: int = 20
    repair: int = 12
    vae: int = 96
    timeline: int = 100
    order: int = 60
    onsets: int = 200  # single sounds through the VAE
    untrained: int = 24  # of the text, video and order cases each; of the others as many as above

    def times(self, share: float) -> "Sizes":
        """A share of them, at least two of each: one cannot be shuffled, of conflicts not three."""
        sizes = {name: max(2, round(share * value)) for name, value in vars(self).items()}
        return replace(self, **sizes | {"conflict": max(4, sizes["conflict"])})


@dataclass(frozen=True)
class ModelsUnderTest:
    """A model under evaluation."""

    trained: Pipeline
    untrained: Pipeline
    sizes: Sizes
    on_clip: OnClip = lambda: None
    catalogue: Catalogue = SYNTHETIC  # the world that it was trained on

    @property
    def rate(self) -> int:
        """Hz."""
        return self.trained.latent_format.sample_rate

    @property
    def device(self) -> torch.device:
        """Where both models are."""
        return self.trained.checkpoint.device

    def generate(self, request: Request, pipeline: Pipeline | None = None) -> Tensor:
        """The sound of a request with the model's own settings, `2 n`."""
        sound = (pipeline or self.trained).generate(request).waveform
        self.on_clip()
        return sound
